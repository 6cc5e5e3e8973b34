import { ExternalLink } from "lucide-react";
import type { ReactNode } from "react";

/** A link out of the app, told as one. Whatever is no web address stays text: it came from elsewhere. */
export function OutLink({ to, children }: { to: string | null; children: ReactNode }) {
  if (!to || !/^https?:\/\//.test(to)) return <span>{children}</span>;
  return (
    <a href={to} target="_blank" rel="noreferrer noopener" className="out">
      {children}
      <ExternalLink size={12} aria-hidden />
      <span className="hidden"> (opens in another tab)</span>
    </a>
  );
}
