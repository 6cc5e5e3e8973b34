export type { LinkUse } from "./links.ts";
export { decideRole, type MemberFacts, type RoleChanger, scopesOf } from "./members.ts";
export * from "./migrations.ts";
export { type PageOrigin, type PasskeyFacts, pageOrigin } from "./passkeys.ts";
export * from "./service.ts";
export { SESSION_SECONDS, type SessionFacts, type SignInMethod } from "./sessions.ts";
