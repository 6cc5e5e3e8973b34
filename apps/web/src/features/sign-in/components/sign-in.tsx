import { useEffect, useState } from "react";
import { queryClient } from "../../../lib/client.ts";

/** Trades the link's code for a session; without a code it says where to get one. */
export function SignIn({ code, onDone }: { code: string | null; onDone: () => void }) {
  const [refused, setRefused] = useState<string | null>(null);
  useEffect(() => {
    if (!code || window.location.hash === "") return;
    window.history.replaceState(null, "", window.location.pathname);
    void fetch("/web/session", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ code }),
    })
      .then(async (response) => {
        if (!response.ok) return setRefused(((await response.json()) as { detail: string }).detail);
        await queryClient.invalidateQueries();
        onDone();
      })
      .catch(() => setRefused("The service gave no answer. Is it running?"));
  }, [code, onDone]);
  return (
    <main className="sign-in">
      <h1>x1agent</h1>
      {code && !refused ? (
        <p role="status">Signing in…</p>
      ) : (
        <>
          {refused ? <p role="alert">{refused}</p> : null}
          <p>
            Open the sign-in link that the service printed when it started. It works once, within five minutes; start
            the service again for another.
          </p>
        </>
      )}
    </main>
  );
}
