const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "narrow" });
const steps = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
] as const;

/** `3 min ago`, from an ISO time; `now` in milliseconds. */
export function formatAge(iso: string, now: number = Date.now()): string {
  const seconds = Math.min(0, Math.round((Date.parse(iso) - now) / 1_000));
  const [unit, size] = steps.find(([, length]) => -seconds >= length) ?? ["second", 1];
  return relative.format(Math.trunc(seconds / size), unit);
}

/** `1m 12s` from milliseconds. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  const s = Math.round(ms / 1_000);
  if (s < 60) return `${s}s`;
  if (s < 3_600) return `${Math.floor(s / 60)}m ${s % 60}s`;
  return `${Math.floor(s / 3_600)}h ${Math.floor((s % 3_600) / 60)}m`;
}

/**
 * Text of an agent, safe to read: terminal sequences are dropped, and every control, bidirectional or invisible
 * character is shown as its code, so that what is displayed is what is there.
 */
export function visible(text: string): string {
  return text
    .replace(/\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?/g, "")
    .replace(/\u001b\[[0-?]*[ -/]*[@-~]/g, "")
    .replace(/\r\n/g, "\n")
    .replace(
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
      (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`,
    );
}
