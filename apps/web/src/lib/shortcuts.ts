import { useEffect, useRef } from "react";

/** Keys such as `j`, `g i` or `ctrl+k`, while no field has the focus and no dialog is open. */
export function useShortcuts(keys: Record<string, () => void>): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    let before = "";
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      const control = event.ctrlKey || event.metaKey;
      // A dialog makes the page inert, wherever the focus went after a press beside it.
      if (document.getElementById("root")?.inert || target.closest("[role=dialog], [role=menu]")) return;
      if (!control && (target.closest("input, textarea, select") || event.altKey)) return;
      const key = `${control ? "ctrl+" : ""}${event.key.length === 1 ? event.key.toLowerCase() : event.key}`;
      const action = latest.current[`${before} ${key}`] ?? latest.current[key];
      before = key;
      if (!action) return;
      event.preventDefault();
      action();
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, []);
}
