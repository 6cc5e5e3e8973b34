import { useMutation } from "@tanstack/react-query";
import { X } from "lucide-react";
import { AlertDialog, Dialog as Primitive } from "radix-ui";
import { type ReactNode, useLayoutEffect, useState } from "react";
import { Button } from "./button.tsx";
import { Failure } from "./states.tsx";
import "./dialog.css";

type ModalProps = {
  title: string;
  close(): void;
  children: ReactNode;
  /** `alert` asks something: it has a description, `AlertDialog.Cancel` has the focus first. */
  role?: "dialog" | "alert";
  look: "box" | "box wide-box" | "palette";
};

/**
 * What every dialog is made of, open as long as it is rendered: it holds the focus, the page behind it is inert and does
 * not scroll, Escape closes it, and the focus goes back to where it was. Only a palette goes away with a press beside it:
 * what was typed into a form is not lost by one.
 */
export function Modal({ title, close, children, role = "dialog", look }: ModalProps) {
  const Base = role === "alert" ? AlertDialog : Primitive;
  const focusBack = useFocusBack();
  useInertPage();
  const head = look !== "palette";
  return (
    <Base.Root open onOpenChange={(open) => open || close()}>
      <Base.Portal>
        <Base.Overlay className="overlay" />
        <Base.Content
          className={look}
          onCloseAutoFocus={focusBack}
          {...(head ? { onInteractOutside: (event: Event) => event.preventDefault() } : {})}
        >
          <Base.Title className={head ? "box-head" : "hidden"}>{title}</Base.Title>
          {children}
          {head ? (
            // Last in order, so that the first field has the focus; it stands in the head.
            <button type="button" className="icon-button" aria-label="Close" onClick={close}>
              <X size={16} aria-hidden />
            </button>
          ) : null}
        </Base.Content>
      </Base.Portal>
    </Base.Root>
  );
}

/** Our dialogs have no trigger of their own, which is where the library would look for the way back. */
function useFocusBack(): (event: Event) => void {
  const [before] = useState(() => document.activeElement as HTMLElement | null);
  return (event) => {
    event.preventDefault();
    // What was revoked or removed took its button along.
    (before?.isConnected ? before : document.getElementById("main"))?.focus({ preventScroll: true });
  };
}

let open = 0;
/** The library hides the page from screen readers and keeps the focus; this keeps everything else out of it too. */
function useInertPage(): void {
  useLayoutEffect(() => {
    const page = document.getElementById("root");
    open += 1;
    page?.toggleAttribute("inert", true);
    return () => {
      open -= 1;
      page?.toggleAttribute("inert", open > 0);
    };
  }, []);
}

type Props = { title: string; close(): void; children: ReactNode; wide?: boolean };

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

/** Asks before something is taken away: what will happen, and to what. `keep` says what else there is, where "Cancel" would be a riddle. */
export function Confirm(props: Props & Doing & { keep?: string }) {
  const { title, close, children, wide = false, keep = "Cancel", ...doing } = props;
  return (
    <Modal role="alert" title={title} close={close} look={wide ? "box wide-box" : "box"}>
      <Deciding
        look="danger"
        close={close}
        away={
          <AlertDialog.Cancel asChild>
            <Button>{keep}</Button>
          </AlertDialog.Cancel>
        }
        {...doing}
      >
        <AlertDialog.Description asChild>
          <div className="box-text">{children}</div>
        </AlertDialog.Description>
      </Deciding>
    </Modal>
  );
}

/** Fields in a dialog, what went wrong, and two buttons: away from it, or do it. */
export function DialogForm(props: Props & Doing & { look?: "primary" | "danger" }) {
  const { title, close, children, wide = false, look = "primary", ...doing } = props;
  return (
    <Modal title={title} close={close} look={wide ? "box wide-box" : "box"}>
      <Deciding look={look} close={close} away={<Button onClick={close}>Cancel</Button>} {...doing}>
        {children}
      </Deciding>
    </Modal>
  );
}

type DecidingProps = Doing & { look: "primary" | "danger"; close(): void; away: ReactNode; children: ReactNode };
function Deciding(props: DecidingProps) {
  const { look, close, away, children, action, busy = "Working…", disabled = false, run, explain } = props;
  const doing = useMutation({ mutationFn: run, onSuccess: close });
  return (
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
        {away}
        <Button type="submit" look={look} disabled={disabled || doing.isPending}>
          {doing.isPending ? busy : action}
        </Button>
      </div>
    </form>
  );
}
