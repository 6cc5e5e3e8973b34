import { formatAge } from "../lib/format.ts";

export function Age({ at }: { at: string }) {
  return (
    <time dateTime={at} title={new Date(at).toLocaleString("en", { dateStyle: "medium", timeStyle: "long" })}>
      {formatAge(at)}
    </time>
  );
}
