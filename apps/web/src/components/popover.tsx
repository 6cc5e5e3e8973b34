import { Popover as Base } from "radix-ui";
import type { ReactElement, ReactNode } from "react";
import "./floating.css";

type Props = { trigger: ReactElement; label: string; children: ReactNode };

/** Something to read beside its button, for as long as one looks at it. Escape or a press beside it closes it. */
export function Popover({ trigger, label, children }: Props) {
  return (
    <Base.Root>
      <Base.Trigger asChild>{trigger}</Base.Trigger>
      <Base.Portal>
        <Base.Content className="floating popover" aria-label={label} align="start" sideOffset={4} collisionPadding={8}>
          {children}
        </Base.Content>
      </Base.Portal>
    </Base.Root>
  );
}
