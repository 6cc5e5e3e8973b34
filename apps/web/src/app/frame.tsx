import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { Inbox, ListChecks, LogOut, Plus } from "lucide-react";
import { useEffect, useRef } from "react";
import { Button } from "../components/button.tsx";
import { Failure, Loading } from "../components/states.tsx";
import { SignIn } from "../features/sign-in/components/sign-in.tsx";
import { client, isSignedOut } from "../lib/client.ts";
import { useShortcuts } from "../lib/shortcuts.ts";

const navigation = [
  { to: "/", label: "Inbox", icon: Inbox, keys: "g i" },
  { to: "/jobs", label: "Jobs", icon: ListChecks, keys: "g j" },
  { to: "/new", label: "New job", icon: Plus, keys: "g n" },
] as const;

/** What surrounds every screen: who I am, where I can go, whether the service answers. Signed out, only the sign-in. */
export function Frame() {
  const me = useQuery({ queryKey: ["me"], queryFn: ({ signal }) => client.me({ signal }) });
  if (isSignedOut(me.error)) return <SignIn />;
  if (me.isPending) return <Loading />;
  if (!me.data) return <Failure error={me.error} retry={() => void me.refetch()} />;
  return <SignedIn organization={me.data.organization} role={me.data.role} />;
}

function SignedIn({ organization, role }: { organization: string; role: string }) {
  const navigate = useNavigate();
  const online = useOnline();
  const help = useRef<HTMLDialogElement>(null);
  const go = (to: "/" | "/jobs" | "/new") => () => void navigate({ to });
  useShortcuts({
    "g i": go("/"),
    "g j": go("/jobs"),
    "g n": go("/new"),
    "?": () => help.current?.showModal(),
    "ctrl+k": () => help.current?.showModal(),
  });
  const signOut = async () => {
    await fetch("/web/session", { method: "DELETE" });
    window.location.assign("/");
  };
  return (
    <div className="frame">
      <a className="skip" href="#main">
        Skip to content
      </a>
      <nav aria-label="Main">
        <strong className="brand">x1agent</strong>
        {navigation.map(({ to, label, icon: Icon, keys }) => (
          <Link key={to} to={to} activeOptions={{ exact: true }} title={`${label} (${keys})`}>
            <Icon size={16} aria-hidden /> {label}
          </Link>
        ))}
      </nav>
      <header>
        <span className="quiet">
          {organization} · {role}
        </span>
        <Button onClick={() => help.current?.showModal()}>Go to… (Ctrl K)</Button>
        <Button onClick={() => void signOut()}>
          <LogOut size={16} aria-hidden /> Sign out
        </Button>
      </header>
      {online ? null : (
        <p role="alert" className="banner">
          Offline: what you see may be old, and nothing can be changed until the service answers.
        </p>
      )}
      <main id="main" tabIndex={-1}>
        <Outlet />
      </main>
      <dialog ref={help} aria-label="Go to">
        <ul className="palette">
          {navigation.map(({ to, label, keys }) => (
            <li key={to}>
              <Link to={to} onClick={() => help.current?.close()}>
                {label}
                <kbd>{keys}</kbd>
              </Link>
            </li>
          ))}
        </ul>
        <p className="quiet">
          In lists: <kbd>j</kbd> <kbd>k</kbd> move, <kbd>Enter</kbd> opens. On a job: <kbd>a</kbd> goes to the decision.
        </p>
        <form method="dialog">
          <Button type="submit">Close</Button>
        </form>
      </dialog>
    </div>
  );
}

function useOnline(): boolean {
  const health = useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => client.health({ signal }),
    refetchInterval: 10_000,
    retry: false,
    networkMode: "always",
  });
  useEffect(() => {
    const look = () => void health.refetch();
    window.addEventListener("online", look);
    window.addEventListener("offline", look);
    return () => {
      window.removeEventListener("online", look);
      window.removeEventListener("offline", look);
    };
  }, [health.refetch]);
  return !health.isError;
}
