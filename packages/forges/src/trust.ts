import type { TrustLabel } from "@x1agent/contract";
import type { ForgePermission } from "./port.ts";

const rank: Readonly<Record<ForgePermission, number>> = {
  none: 0,
  read: 1,
  triage: 2,
  write: 3,
  maintain: 4,
  admin: 5,
};

/** Whether the word is one of the permissions. Pure. */
export const isPermission = (word: string): word is ForgePermission => Object.hasOwn(rank, word);

/** Whether a permission is at least that one. Pure. */
export const isPermitted = (permission: ForgePermission, least: ForgePermission): boolean =>
  rank[permission] >= rank[least];

/** Whether somebody with this permission may change the repository by themselves. Pure. */
export const mayWrite = (permission: ForgePermission): boolean => isPermitted(permission, "write");

/** The label of a text by several people: the weakest decides, and a text by nobody known is from outside. Pure. */
export const trustOfAuthors = (permissions: readonly ForgePermission[]): TrustLabel =>
  permissions.length > 0 && permissions.every(mayWrite) ? "member" : "outside";
