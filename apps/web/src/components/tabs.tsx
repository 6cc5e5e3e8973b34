import { Tabs as Base } from "radix-ui";
import type { ReactNode } from "react";
import "./tabs.css";

type Props<T extends string> = {
  /** What the tabs are views of, for who does not see them stand together. */
  label: string;
  tabs: readonly T[];
  value: T;
  set(value: NoInfer<T>): void;
  /** The chosen one's content. */
  children: ReactNode;
};

/** Views of one thing, one at a time. Arrows, Home and End walk them. */
export function Tabs<T extends string>({ label, tabs, value, set, children }: Props<T>) {
  return (
    <Base.Root value={value} onValueChange={(chosen) => set(chosen as T)}>
      <Base.List
        aria-label={label}
        className="tabs"
        // A pressed tab gets its focus by script, which browsers ring as if it came by keyboard: not until a key is used.
        onPointerDown={({ currentTarget }) => {
          currentTarget.dataset.pressed = "";
        }}
        onKeyDown={({ currentTarget }) => {
          delete currentTarget.dataset.pressed;
        }}
        onBlur={({ currentTarget, relatedTarget }) => {
          if (!currentTarget.contains(relatedTarget)) delete currentTarget.dataset.pressed;
        }}
      >
        {tabs.map((name) => (
          <Base.Trigger key={name} value={name}>
            {name}
          </Base.Trigger>
        ))}
      </Base.List>
      <Base.Content value={value}>{children}</Base.Content>
    </Base.Root>
  );
}
