import { type RefObject, useRef } from "react";
import { useShortcuts } from "./shortcuts.ts";

/** `j` and `k` move the focus through a list's lines: what `selector` finds below the returned ref, in order. */
export function useListKeys<T extends HTMLElement>(selector: string): RefObject<T | null> {
  const list = useRef<T>(null);
  const move = (by: number) => () => {
    const lines = [...(list.current?.querySelectorAll<HTMLElement>(selector) ?? [])];
    const at = lines.indexOf(document.activeElement as HTMLElement);
    lines[Math.max(0, Math.min(lines.length - 1, at + by))]?.focus();
  };
  useShortcuts({ j: move(1), k: move(-1) });
  return list;
}
