import type { RouteResponse } from "@x1agent/contract";
import { BadgeCheck, CircleAlert } from "lucide-react";

type Label = RouteResponse<"getIssue">["trust"];

/** How far the words that start a job are trusted, in words. */
export function Trust({ trust }: { trust: Label }) {
  return trust === "member" ? (
    <span className="state good">
      <BadgeCheck size={16} aria-hidden /> trusted
    </span>
  ) : (
    <span className="state waiting">
      <CircleAlert size={16} aria-hidden /> untrusted
    </span>
  );
}

/** What follows from words of people who may not write to the repository. */
export const untrustedMeans =
  "Its words come from outside: the job gets no push, no secret of the project and the narrowest network, and a person approves.";
