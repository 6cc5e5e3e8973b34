import { useEffect } from "react";

let page = "";
let waiting = 0;
const show = () => {
  document.title = `${waiting > 0 ? `(${waiting}) ` : ""}${page ? `${page} · ` : ""}x1agent`;
  const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  const file = waiting > 0 ? "/icon-waiting.svg" : "/icon.svg";
  if (icon && icon.getAttribute("href") !== file) icon.href = file;
};

/** The page's name in the tab, behind the count of what waits. */
export function useTitle(name: string): void {
  useEffect(() => {
    page = name;
    show();
  }, [name]);
}

/** How many things wait for a person: in the tab's title and its icon, whatever the page. */
export function useWaitingCount(count: number): void {
  useEffect(() => {
    waiting = count;
    show();
  }, [count]);
}
