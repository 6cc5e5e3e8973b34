import { X } from "lucide-react";
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { Button } from "./button.tsx";
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

/** Asks before something is taken away: what will happen, and to what. */
export function Confirm(props: {
  title: string;
  /** The dangerous button's words, such as "Revoke". */
  action: string;
  busy: boolean;
  error: ReactNode;
  close(): void;
  run(): void;
  children: ReactNode;
}) {
  return (
    <Dialog title={props.title} close={props.close}>
      <div className="box-text">{props.children}</div>
      {props.error}
      <div className="buttons end">
        <Button onClick={props.close}>Cancel</Button>
        <Button look="danger" disabled={props.busy} onClick={props.run}>
          {props.busy ? "Working…" : props.action}
        </Button>
      </div>
    </Dialog>
  );
}
