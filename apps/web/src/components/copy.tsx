import { Check, Copy as CopyIcon } from "lucide-react";
import { useState } from "react";
import { Button } from "./button.tsx";
import "./copy.css";

/** A command or an id in full, and a button that takes it along. */
export function CopyLine({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2_000);
  };
  return (
    <div className="copy-line">
      <code>{text}</code>
      <Button onClick={() => void copy()} aria-label={`Copy ${label}`}>
        {copied ? <Check size={16} aria-hidden /> : <CopyIcon size={16} aria-hidden />}
        <span aria-live="polite">{copied ? "Copied" : "Copy"}</span>
      </Button>
    </div>
  );
}
