import { Tooltip as Base } from "radix-ui";
import type { ReactElement, ReactNode } from "react";
import "./floating.css";

/** Once, around the app: after one tooltip the next ones come at once. */
export const Tooltips = ({ children }: { children: ReactNode }) => (
  <Base.Provider delayDuration={400}>{children}</Base.Provider>
);

type Props = {
  /** More than the control says by itself; never what cannot be known without it. */
  label: ReactNode;
  side?: "top" | "right" | "bottom";
  /** A button or a link: what can have the focus. */
  children: ReactElement;
};

/** A word more about a control, on hover and on focus; Escape takes it away. */
export function Tooltip({ label, side = "top", children }: Props) {
  return (
    <Base.Root>
      <Base.Trigger asChild>{children}</Base.Trigger>
      {/* Where its control is, as a menu: within the same landmark. */}
      <Base.Content className="tooltip" side={side} sideOffset={6} collisionPadding={8}>
        {label}
      </Base.Content>
    </Base.Root>
  );
}
