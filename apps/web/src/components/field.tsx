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

type SecretProps = {
  id?: string;
  "aria-describedby"?: string | undefined;
  value: string;
  set(value: string): void;
  /** Characters at most. */
  max?: number;
};

/** For what is typed once and never shown again. Within a `Field`, which gives it its name. */
export function SecretInput({ value, set, max = 100_000, ...named }: SecretProps) {
  return (
    <input
      {...named}
      type="password"
      autoComplete="off"
      required
      maxLength={max}
      spellCheck={false}
      value={value}
      onChange={(event) => set(event.target.value)}
    />
  );
}
