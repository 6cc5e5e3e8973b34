import { formatUsd, type RouteResponse } from "@x1agent/contract";
import {
  Bar,
  BarChart,
  CartesianGrid,
  Legend,
  ReferenceLine,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from "recharts";
import { visible } from "../../../lib/format.ts";

type Spend = RouteResponse<"getSpend">;
/** Projects that get a band of their own; the rest share one. */
const BANDS = 5;

/** Every day of the report, also those without a call, with the cost of each band. Pure. */
export function bandsOf(spend: Pick<Spend, "since" | "until" | "days" | "by">) {
  const own = spend.by.project.slice(0, BANDS).map(({ key, name }) => ({ key, name: visible(name) }));
  const bands = spend.by.project.length > BANDS ? [...own, { key: "others", name: "Others" }] : own;
  const days: Record<string, string | number>[] = [];
  for (let at = Date.parse(spend.since); at < Date.parse(spend.until); at += 86_400_000) {
    const day = new Date(at).toISOString().slice(0, 10);
    const sums: Record<string, number> = Object.fromEntries(bands.map(({ key }) => [key, 0]));
    for (const entry of spend.days) {
      if (entry.day !== day) continue;
      const key = own.some((band) => band.key === entry.projectId) ? entry.projectId : "others";
      sums[key] = (sums[key] ?? 0) + entry.micros;
    }
    days.push({ day, ...sums });
  }
  return { bands, days };
}

/** Cost per day, stacked by project, with the day's budget as a line. The table beside it says the same in words. */
export function DayChart({ spend, limitMicros }: { spend: Spend; limitMicros: number | null }) {
  const { bands, days } = bandsOf(spend);
  return (
    <div className="chart" role="img" aria-label="Cost per day as stacked bars; the table says the same">
      <ResponsiveContainer width="100%" height={240}>
        <BarChart data={days} margin={{ top: 12, right: 8, bottom: 0, left: 8 }} accessibilityLayer={false}>
          <CartesianGrid vertical={false} stroke="var(--line)" />
          <XAxis
            dataKey="day"
            tickFormatter={(day: string) => day.slice(5)}
            tickLine={false}
            axisLine={{ stroke: "var(--line)" }}
            minTickGap={24}
          />
          <YAxis tickFormatter={(micros: number) => formatUsd(micros)} tickLine={false} axisLine={false} width={72} />
          <Tooltip
            cursor={{ fill: "var(--raised)" }}
            isAnimationActive={false}
            formatter={(value) => formatUsd(Number(value))}
            contentStyle={{ background: "var(--ground)", border: "1px solid var(--line)", borderRadius: 6 }}
          />
          {bands.length > 1 ? <Legend iconType="square" iconSize={10} /> : null}
          {bands.map(({ key, name }, index) => (
            <Bar
              key={key}
              dataKey={key}
              name={name}
              stackId="cost"
              fill={`var(--band-${index})`}
              stroke="var(--ground)"
              maxBarSize={28}
              isAnimationActive={false}
            />
          ))}
          {limitMicros === null ? null : (
            <ReferenceLine
              y={limitMicros}
              stroke="var(--state-bad)"
              strokeDasharray="4 4"
              ifOverflow="extendDomain"
              label={{
                value: `Budget ${formatUsd(limitMicros)} a day`,
                position: "insideTopRight",
                fill: "var(--state-bad)",
              }}
            />
          )}
        </BarChart>
      </ResponsiveContainer>
    </div>
  );
}
