import type { LucideIcon } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import type { ReactElement, ReactNode } from "react";
import "./floating.css";

/** Things to do behind one button: arrows and first letters walk them, Escape gives the focus back to the button. */
export function Menu({ trigger, children }: { trigger: ReactElement; children: ReactNode }) {
  return (
    // The page stays as it is: a press beside the menu closes it and does what it does there.
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      {/* Not moved to the page's end: so it stays in the landmark that its button stands in. */}
      <DropdownMenu.Content className="floating menu" align="end" sideOffset={4} collisionPadding={8}>
        {children}
      </DropdownMenu.Content>
    </DropdownMenu.Root>
  );
}

/** What a menu is about, above its items. */
export const MenuHead = ({ children }: { children: ReactNode }) => (
  <DropdownMenu.Label className="menu-head">{children}</DropdownMenu.Label>
);

export const MenuLine = () => <DropdownMenu.Separator className="menu-line" />;

export function MenuItem({ icon: Icon, act, children }: { icon: LucideIcon; act(): void; children: ReactNode }) {
  return (
    <DropdownMenu.Item className="menu-item" onSelect={act}>
      <Icon size={16} aria-hidden /> {children}
    </DropdownMenu.Item>
  );
}
