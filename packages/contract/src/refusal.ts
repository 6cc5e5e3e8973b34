import type { ErrorCode } from "./errors.ts";

/** Codes by which the sidecar refuses a model call. They reach an adapter only inside the text of its provider's error shape. */
const modelCallRefusals = [
  "budget_exceeded",
  "price_unknown",
  "not_granted",
  "field_refused",
  "path_refused",
  "model_missing",
  "provider_unconfigured",
  "control_unreachable",
  "quota_exceeded",
] as const satisfies readonly ErrorCode[];

/** The sidecar's refusal code in an error text that passed through a CLI; `null` when the provider itself said no. */
export function refusalIn(text: string): ErrorCode | null {
  return modelCallRefusals.find((code) => new RegExp(`\\b${code}\\b`).test(text)) ?? null;
}
