import { cloneElement, type ReactElement, type ReactNode, useId } from "react";
import "./field.css";

type Control = ReactElement<{ id?: string; "aria-describedby"?: string | undefined }>;

/** A control with its label and, below it, what it means. */
export function Field({ label, hint, children }: { label: ReactNode; hint?: ReactNode; children: Control }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {cloneElement(children, { id, "aria-describedby": hint ? `${id}-hint` : undefined })}
      {hint ? (
        <p className="hint" id={`${id}-hint`}>
          {hint}
        </p>
      ) : null}
    </div>
  );
}
