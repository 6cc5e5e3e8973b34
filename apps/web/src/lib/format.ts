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
 * Text of an agent, safe to read: colour sequences are dropped, and every other control, bidirectional, invisible or
 * tag character is shown as its code, so that what is displayed is what is there. Nothing that carries text goes: a
 * terminal's title or link sequence (OSC) stays readable, whether or not it ends.
 */
export function visible(text: string): string {
  return (
    text
      // Colour and weight only (SGR): its parameters are digits, so it can hold no words.
      .replace(/\u001b\[[\d;:]*m/g, "")
      .replace(/\r\n/g, "\n")
      .replace(
        /(?![\t\n])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/gu,
        (c) => `⟨U+${(c.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`,
      )
  );
}

const counts = new Intl.NumberFormat("en");
/** `12,345`. */
export const formatCount = (count: number): string => counts.format(count);

/** `1.4 MB`, in powers of 1,000. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = bytes;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || size >= 10 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}
