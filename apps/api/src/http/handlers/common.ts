import { accept, type Outcome, refuse } from "@x1agent/contract";
import type { Caller } from "../../use-cases/index.ts";
import type { Principal } from "../call.ts";

/** What a use-case needs to know of the caller. */
export const callerOf = ({ principal, kept }: { principal: Principal; kept?: Caller["kept"] }): Caller => ({
  organizationId: principal.organizationId,
  actor: principal.actor,
  ...(kept && { kept }),
});

/** A thing that may not be there. Another organization's is not there either. */
export const found = <T>(value: T | null, what: string): Outcome<T> =>
  value === null ? refuse("not_found", `No such ${what}.`) : accept(value);
