import { isTerminal, type JobState } from "@x1agent/contract";
import { CircleAlert, CircleCheck, CircleDashed, CircleDot, CirclePause } from "lucide-react";

const waiting: readonly JobState[] = ["awaiting_input", "awaiting_approval"];

/** A state in words, icon and colour together. */
export function JobStateMark({ state }: { state: JobState }) {
  const [tone, Icon] = waiting.includes(state)
    ? (["waiting", CirclePause] as const)
    : state === "succeeded"
      ? (["good", CircleCheck] as const)
      : state === "queued" || state === "no_changes" || state === "cancelled"
        ? (["neutral", CircleDashed] as const)
        : isTerminal(state)
          ? (["bad", CircleAlert] as const)
          : (["running", CircleDot] as const);
  return (
    <span className={`state ${tone}`}>
      <Icon size={16} aria-hidden /> {state.replaceAll("_", " ")}
    </span>
  );
}
