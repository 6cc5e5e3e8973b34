import { useMutation } from "@tanstack/react-query";
import { X } from "lucide-react";
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { Button } from "./button.tsx";
import { Failure } from "./states.tsx";
import "./dialog.css";

type Props = { title: string; close(): void; children: ReactNode; wide?: boolean };

/** A modal dialog as long as it is rendered. Escape and the cross close it; the focus goes back to where it was. */
export function Dialog({ title, close, children, wide = false }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Closed while it still stands in the page: only then the browser gives the focus back to where it was.
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  // The event comes late: by then the same dialog may have been opened again.
  const ended = () => {
    if (!dialog.current?.open) close();
  };
  return (
    <dialog ref={dialog} className={wide ? "box wide-box" : "box"} aria-labelledby={id} onClose={ended}>
      <div className="box-head">
        <h2 id={id}>{title}</h2>
        <button type="button" className="icon-button" aria-label="Close" onClick={close}>
          <X size={16} aria-hidden />
        </button>
      </div>
      {children}
    </dialog>
  );
}

type Doing = {
  /** The deciding button's words, such as "Revoke"; `busy` while it is done. */
  action: string;
  busy?: string;
  /** Why it cannot be done yet is said among the children; the button is off. */
  disabled?: boolean;
  /** Does it; the dialog closes when it is done and says what went wrong when not. */
  run(): Promise<unknown>;
  /** An error in words of its own, where the dialog knows better ones. */
  explain?(error: Error): ReactNode;
};

/** Asks before something is taken away: what will happen, and to what. */
export function Confirm({ title, close, children, ...doing }: Props & Doing) {
  return (
    <DialogForm title={title} close={close} look="danger" {...doing}>
      <div className="box-text">{children}</div>
    </DialogForm>
  );
}

/** Fields in a dialog, what went wrong, and two buttons: away from it, or do it. */
export function DialogForm(props: Props & Doing & { look?: "primary" | "danger" }) {
  const { title, close, children, wide = false, action, busy = "Working…", disabled = false, run, explain } = props;
  const doing = useMutation({ mutationFn: run, onSuccess: close });
  return (
    <Dialog title={title} close={close} wide={wide}>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          // Enter in a field goes past the button, which is off then.
          if (!disabled && !doing.isPending) doing.mutate();
        }}
      >
        {children}
        {doing.error ? (explain?.(doing.error) ?? <Failure error={doing.error} />) : null}
        <div className="buttons end">
          <Button onClick={close}>Cancel</Button>
          <Button type="submit" look={props.look ?? "primary"} disabled={disabled || doing.isPending}>
            {doing.isPending ? busy : action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
