import { Lock } from "lucide-react";
import type { ReactNode } from "react";
import { useMay } from "../lib/queries.ts";

type Props = {
  /** What the person's role must include. */
  scope: "write" | "approve" | "admin";
  children: ReactNode;
  /** In its place for everybody else; nothing by default. */
  otherwise?: ReactNode;
};

/** Shows what somebody may do only to who may do it. */
export function Only({ scope, children, otherwise = null }: Props) {
  return useMay(scope) ? children : otherwise;
}

/** Says, in the place of something that one may not do, that one may not, and who can change that. */
export function MayNot({ what }: { what: string }) {
  return (
    <p className="may-not quiet">
      <Lock size={14} aria-hidden /> You may not {what}. An owner of the organization can give you the role.
    </p>
  );
}
