import type { RouteResponse } from "@x1agent/contract";
import { visible } from "../lib/format.ts";
import "./isolation.css";

type Report = NonNullable<RouteResponse<"doctor">["isolation"]>;
const byWhom = { kernel: "by the kernel", watched: "watched", none: "not enforced" } as const;

/** What a workspace enforces, one limit a line, each with who sees to it. */
export function IsolationFacts({ report }: { report: Report }) {
  return (
    <ul className="isolation-facts">
      {report.facts.map(({ name, value, by }) => (
        <li key={name}>
          {visible(name)}: <span className="mono">{visible(value)}</span> <span className="quiet">{byWhom[by]}</span>
        </li>
      ))}
    </ul>
  );
}

/** `9 limits by the kernel, 2 watched, 1 not enforced`. */
export function isolationCounts({ facts }: Report): string {
  const count = (by: keyof typeof byWhom) => facts.filter((fact) => fact.by === by).length;
  const parts = (["kernel", "watched", "none"] as const).flatMap((by) =>
    count(by) > 0 ? [`${count(by)} ${byWhom[by]}`] : [],
  );
  return parts.join(", ");
}
