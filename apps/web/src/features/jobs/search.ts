import { isTerminal, type JobState } from "@x1agent/contract";
import { needsPerson } from "../../lib/jobs.ts";

/** The Jobs page's filter as it stands in the address, which is also how a view is saved. */
export type JobsSearch = { q?: string; show?: View; project?: string; runtime?: string; by?: string };
type View = keyof typeof views;

const working: readonly JobState[] = ["queued", "provisioning", "running", "verifying", "publishing"];
/** Groups of states that people ask for. */
export const views = {
  waiting: { label: "Waiting for a person", states: needsPerson.filter((state) => !isTerminal(state)) },
  working: { label: "At work", states: working },
  published: { label: "Published", states: ["succeeded"] as JobState[] },
  unfinished: {
    label: "Ended without a change",
    states: ["no_changes", "rejected", "failed", "cancelled", "timed_out", "budget_exceeded", "lost"] as JobState[],
  },
} as const;

/** Reads the filter from the address; what is not understood is left out. */
export function readSearch(search: Record<string, unknown>): JobsSearch {
  const text = (key: string) =>
    typeof search[key] === "string" && search[key] ? { [key]: search[key].slice(0, 200) } : {};
  const show = typeof search.show === "string" && search.show in views ? { show: search.show as View } : {};
  // A number in the address is a word all the same.
  const q = typeof search.q === "number" ? { q: String(search.q) } : text("q");
  return { ...q, ...show, ...text("project"), ...text("runtime"), ...text("by") };
}

/** What a new job starts with: another job's goal and settings, a project, a runtime. */
export type NewJobSearch = {
  from?: string;
  project?: string;
  runtime?: string;
  /** Id of a connection, `owner/name` of a repository that it reaches, and an issue there. */
  connection?: string;
  repo?: string;
  issue?: number;
};

export function readNewJobSearch(search: Record<string, unknown>): NewJobSearch {
  const text = (key: string) =>
    typeof search[key] === "string" && search[key] ? { [key]: search[key].slice(0, 300) } : {};
  const issue =
    typeof search.issue === "number" && Number.isInteger(search.issue) && search.issue > 0
      ? { issue: search.issue }
      : {};
  return { ...text("from"), ...text("project"), ...text("runtime"), ...text("connection"), ...text("repo"), ...issue };
}
