import { useCallback, useState } from "react";

/** A choice of this person in this browser; without storage it lives as long as the page. */
export function useRemembered(name: string, first: string): [string, (value: string) => void] {
  const key = `x1.${name}`;
  const [value, setValue] = useState(() => {
    try {
      return localStorage.getItem(key) ?? first;
    } catch {
      return first;
    }
  });
  const set = useCallback(
    (next: string) => {
      setValue(next);
      try {
        localStorage.setItem(key, next);
      } catch {
        // Full or forbidden.
      }
    },
    [key],
  );
  return [value, set];
}
