import type { ReactNode } from "react";
import "./filters.css";

/** What narrows a list: words first, then choices, in one line above it. */
export function Filters({ children }: { children: ReactNode }) {
  return <search className="tools">{children}</search>;
}

export function Words(props: { label: string; placeholder: string; value: string; set(value: string): void }) {
  return (
    <input
      type="search"
      aria-label={props.label}
      placeholder={props.placeholder}
      value={props.value}
      onChange={(event) => props.set(event.target.value)}
    />
  );
}

/** One of several; the first option is none of them, said by `all`. */
export function Choice<T extends string>(props: {
  label: string;
  all: string;
  options: readonly (readonly [value: T, label: string])[];
  value: T | "";
  set(value: T | ""): void;
}) {
  return (
    <select aria-label={props.label} value={props.value} onChange={(event) => props.set(event.target.value as T | "")}>
      <option value="">{props.all}</option>
      {props.options.map(([value, label]) => (
        <option key={value} value={value}>
          {label}
        </option>
      ))}
    </select>
  );
}
