import { useQuery } from "@tanstack/react-query";
import type { RouteResponse } from "@x1agent/contract";
import { Laptop, Smartphone } from "lucide-react";
import { useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Confirm } from "../../../components/dialog.tsx";
import { View } from "../../../components/view.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { sessionsQuery } from "../../../lib/queries.ts";
import { browserName } from "../browser-name.ts";

type Session = RouteResponse<"listSessions">["items"][number];
const methods = { link: "by a link", password: "by password", passkey: "by passkey" } as const;

/** Where one is signed in, and how to end it. */
export function Browsers() {
  const sessions = useQuery({ ...sessionsQuery, refetchInterval: 15_000 });
  const [ending, setEnding] = useState<Session | "others" | null>(null);
  const others = (sessions.data?.items ?? []).filter(({ current }) => !current).length;
  return (
    <section className="panel" aria-labelledby="browsers">
      <div className="panel-head">
        <h2 id="browsers">Signed-in browsers</h2>
        {others > 0 ? <Button onClick={() => setEnding("others")}>Sign out all others</Button> : null}
      </div>
      <p className="quiet">
        A session ends after seven days, or here at once. One you do not know? End it, then set a new password.
      </p>
      <View query={sessions} what="your sessions">
        {({ items }) => (
          <ul className="things">
            {items.map((session) => {
              const { name, phone } = browserName(session.agent);
              return (
                <li key={session.id}>
                  {phone ? <Smartphone size={16} aria-hidden /> : <Laptop size={16} aria-hidden />}
                  <div className="thing">
                    <strong title={session.agent ? visible(session.agent) : undefined}>{name}</strong>{" "}
                    {session.current ? <span className="chip accent">this browser</span> : null}
                    <span className="sub">
                      {session.address ?? "unknown address"} · signed in {methods[session.method]}{" "}
                      <Age at={session.createdAt} /> · seen <Age at={session.lastSeenAt} />
                    </span>
                  </div>
                  {session.current ? null : (
                    <Button onClick={() => setEnding(session)} aria-label={`Sign out ${name}`}>
                      Sign out
                    </Button>
                  )}
                </li>
              );
            })}
          </ul>
        )}
      </View>
      {ending ? <EndSession what={ending} count={others} close={() => setEnding(null)} /> : null}
    </section>
  );
}

function EndSession({ what, count, close }: { what: Session | "others"; count: number; close(): void }) {
  const end = () =>
    what === "others" ? client.endOtherSessions() : client.endSession({ params: { sessionId: what.id } });
  const others = count === 1 ? "1 other browser" : `${count} other browsers`;
  return (
    <Confirm
      title={what === "others" ? "Sign out all other browsers" : "Sign this browser out"}
      action={what === "others" ? `Sign out ${others}` : "Sign out"}
      close={close}
      run={() => end().finally(() => queryClient.invalidateQueries(sessionsQuery))}
    >
      <p>
        {what === "others"
          ? `${others} will be signed out within seconds. This one stays.`
          : `${browserName(what.agent).name} at ${what.address ?? "an unknown address"} will be signed out within seconds.`}
      </p>
    </Confirm>
  );
}
