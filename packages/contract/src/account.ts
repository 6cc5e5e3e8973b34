import { z } from "zod";

const time = z.iso.datetime();

/** Shortest and longest password, in characters. Length is what counts: no classes of characters are asked for. */
export const passwordLength = { min: 12, max: 128 } as const;
const NewPassword = z.string().min(passwordLength.min).max(passwordLength.max);

/** What one types beside the password: an e-mail address or any name without spaces. */
export const SignInName = z
  .string()
  .trim()
  .min(3)
  .max(100)
  .regex(/^[\w.@+-]+$/, "letters, digits and . _ - @ + only");

export const memberRoles = ["owner", "admin", "member", "reviewer", "viewer"] as const;
export const MemberRole = z.enum(memberRoles);
export type MemberRole = z.infer<typeof MemberRole>;

/** A person of the organization. Role `former`: who once was one, so that what they did keeps its name. */
export const Member = z.object({ id: z.string(), name: z.string(), signInName: z.string(), role: z.string() });

export const MemberAdd = z.object({
  name: z.string().trim().min(1).max(100),
  signInName: SignInName,
  role: MemberRole,
});

/** A browser that is signed in. */
export const BrowserSession = z.object({
  id: z.string(),
  method: z.enum(["link", "password", "passkey"]),
  address: z.string().nullable(),
  /** The browser's own words about itself (User-Agent). */
  agent: z.string().nullable(),
  createdAt: time,
  lastSeenAt: time,
  expiresAt: time,
  /** The one that asks. */
  current: z.boolean(),
});

export const Passkey = z.object({
  id: z.string(),
  name: z.string(),
  /** Kept by a password manager or the platform's account, so that it survives the device. */
  synced: z.boolean(),
  createdAt: time,
  lastUsedAt: time.nullable(),
});

/** The caller's own account. */
export const Account = Member.extend({
  passwordSetAt: time.nullable(),
  passkeys: z.array(Passkey),
  /**
   * What a change of sign-in needs besides the session: nothing within minutes of the sign-in, later the password, or a
   * new sign-in where there is none. Null for an API token, which may not change it.
   */
  confirmBy: z.enum(["nothing", "password", "sign_in"]).nullable(),
});
export const AccountUpdate = z.object({
  name: z.string().trim().min(1).max(100).optional(),
  signInName: SignInName.optional(),
});

/** The present password, where `confirmBy` says so. */
const confirmation = { current: z.string().max(passwordLength.max).optional() };
export const Confirmation = z.object(confirmation);
export const PasswordSet = z.object({ password: NewPassword, ...confirmation });

/** `PublicKeyCredentialCreationOptionsJSON` or `...RequestOptionsJSON` of WebAuthn level 3, passed to the browser as it is. */
export const WebAuthnOptions = z.record(z.string(), z.unknown());
/** A `PublicKeyCredential` as its `toJSON()` gives it. */
export const WebAuthnResponse = z.looseObject({
  id: z.string().min(1).max(2_000),
  rawId: z.string().max(2_000),
  type: z.literal("public-key"),
  response: z.record(z.string(), z.unknown()),
});
export const PasskeyAdd = z.object({ name: z.string().trim().min(1).max(100), response: WebAuthnResponse });

/** A link that signs one browser in as the caller, once. `path` goes behind the service's address. */
export const SignInLink = z.object({ path: z.string(), expiresAt: time });

/** Which ways of signing in have been set up; a one-time link always works. */
export const SignInMethods = z.object({ password: z.boolean(), passkey: z.boolean() });
export const PasswordSignIn = z.object({
  name: z.string().min(1).max(100),
  password: z.string().min(1).max(passwordLength.max),
});
