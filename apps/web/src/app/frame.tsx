import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import type { RouteResponse } from "@x1agent/contract";
import { CircleUserRound, Ellipsis, LogOut, Search } from "lucide-react";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { Button } from "../components/button.tsx";
import { Menu, MenuHead, MenuItem, MenuLine } from "../components/menu.tsx";
import { Failure, Loading } from "../components/states.tsx";
import { Tooltip, Tooltips } from "../components/tooltip.tsx";
import { SignIn } from "../features/sign-in/components/sign-in.tsx";
import { client, isSignedOut } from "../lib/client.ts";
import { visible } from "../lib/format.ts";
import { useInbox } from "../lib/inbox.ts";
import { meQuery } from "../lib/queries.ts";
import { useShortcuts } from "../lib/shortcuts.ts";
import { useWaitingCount } from "../lib/title.ts";
import { useWho } from "../lib/who.ts";
import { placesOf } from "./places.ts";

const Palette = lazy(() => import("./palette.tsx").then(({ Palette }) => ({ default: Palette })));

/** What surrounds every screen: who I am, where I can go, whether the service answers. Signed out, only the sign-in. */
export function Frame() {
  // Asked again now and then, so that a session that was ended elsewhere shows also where nothing else is asked.
  const me = useQuery({ ...meQuery, refetchInterval: 15_000 });
  if (isSignedOut(me.error)) return <SignIn ended={me.data !== undefined} />;
  if (me.isPending) return <Loading />;
  if (!me.data) return <Failure error={me.error} retry={() => void me.refetch()} />;
  return (
    <Tooltips>
      <SignedIn {...me.data} />
    </Tooltips>
  );
}

function SignedIn({ organization, role, scopes, actor }: RouteResponse<"me">) {
  const places = placesOf(scopes);
  const name = visible(useWho()(actor));
  const navigate = useNavigate();
  const online = useOnline();
  const { count: waiting, isPending } = useInbox();
  useWaitingCount(waiting);
  useNotice(isPending ? null : waiting);
  const [searching, setSearching] = useState(false);
  const search = () => setSearching(true);
  useShortcuts({
    ...Object.fromEntries(places.map(({ to, keys }) => [keys, () => void navigate({ to })])),
    "?": search,
    "/": search,
    "ctrl+k": search,
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
        {places.map(({ to, label, icon: Icon, keys }, index) => (
          <Tooltip
            key={to}
            side="right"
            label={
              <>
                {label} <kbd>{keys}</kbd>
              </>
            }
          >
            <Link
              to={to}
              activeOptions={{ exact: to === "/" || to === "/jobs" }}
              className={index > 2 ? "wide" : undefined}
            >
              <Icon size={16} aria-hidden /> <span className="label">{label}</span>
              {to === "/" && waiting > 0 ? (
                <span className="count" role="img" aria-label={`${waiting} waiting`}>
                  {waiting > 99 ? "99+" : waiting}
                </span>
              ) : null}
            </Link>
          </Tooltip>
        ))}
        <button type="button" className="narrow" onClick={search}>
          <Ellipsis size={16} aria-hidden /> More
        </button>
      </nav>
      <header>
        <span className="quiet organization">
          {organization} · {role}
        </span>
        <button type="button" className="search" onClick={search}>
          <Search size={16} aria-hidden /> <span className="label">Search or go to</span> <kbd aria-hidden>Ctrl K</kbd>
        </button>
        <Menu
          trigger={
            <Button aria-label={`Your account: ${name}`}>
              <CircleUserRound size={16} aria-hidden /> <span className="label my-name">{name}</span>
            </Button>
          }
        >
          <MenuHead>
            <strong>{name}</strong>
            <span className="quiet">
              {role} in {organization}
            </span>
          </MenuHead>
          <MenuLine />
          <MenuItem
            icon={CircleUserRound}
            act={() => void navigate({ to: "/settings/$section", params: { section: "account" } })}
          >
            Your account
          </MenuItem>
          <MenuItem icon={LogOut} act={() => void signOut()}>
            Sign out
          </MenuItem>
        </Menu>
      </header>
      {online ? null : (
        <p role="alert" className="banner">
          Offline: what you see may be old, and nothing can be changed until the service answers.
        </p>
      )}
      <main id="main" tabIndex={-1}>
        <Outlet />
      </main>
      {searching ? (
        <Suspense>
          <Palette close={() => setSearching(false)} />
        </Suspense>
      ) : null}
    </div>
  );
}

/** Tells the desktop that something new waits, where the person has asked for it and looks elsewhere; null: not known yet. */
function useNotice(waiting: number | null): void {
  const before = useRef<number | null>(null);
  useEffect(() => {
    if (waiting === null) return;
    const grew = before.current !== null && waiting > before.current;
    before.current = waiting;
    if (!grew || !document.hidden || !("Notification" in window) || Notification.permission !== "granted") return;
    const notice = new Notification("x1agent", { body: `${waiting} waiting for you`, tag: "inbox", icon: "/icon.svg" });
    notice.onclick = () => window.focus();
  }, [waiting]);
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
