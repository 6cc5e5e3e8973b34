import { useQuery } from "@tanstack/react-query";
import { ShieldAlert, ShieldCheck } from "lucide-react";
import { useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { CopyLine } from "../../../components/copy.tsx";
import { View } from "../../../components/view.tsx";
import { client } from "../../../lib/client.ts";
import { formatCount } from "../../../lib/format.ts";

/** Whether the log is what was written: every hash recomputed, now. */
export function Chain() {
  const chain = useQuery({
    queryKey: ["audit-chain"],
    queryFn: async ({ signal }) => ({ ...(await client.verifyAudit({ signal })), at: new Date().toISOString() }),
    staleTime: 60_000,
  });
  const [shown, setShown] = useState(false);
  return (
    <View query={chain} what="whether the chain is intact" waiting={<p className="notice">Recomputing every hash…</p>}>
      {({ intact, entries, head, brokenAt, at }) => (
        <div className={intact ? "notice good chain" : "notice bad chain"} role={intact ? "status" : "alert"}>
          {intact ? <ShieldCheck size={16} aria-hidden /> : <ShieldAlert size={16} aria-hidden />}
          <div className="chain-text">
            {intact ? (
              <p>
                <strong>Chain intact, {formatCount(entries)} entries</strong>{" "}
                <span className="quiet">
                  verified <Age at={at} />
                </span>
              </p>
            ) : (
              <p>
                <strong>Chain broken at entry {formatCount(brokenAt ?? 0)}.</strong> {formatCount(entries)} entries
                before it are as they were written. Keep the database as it is, and compare with your last export.
              </p>
            )}
            {shown ? (
              <div className="head-hash">
                <p className="quiet">
                  The newest entry's hash. Keep it outside this machine: a history that is made anew has another.
                </p>
                <CopyLine text={head} label="the chain's head" />
              </div>
            ) : null}
          </div>
          <span className="push buttons-inline">
            <Button aria-expanded={shown} onClick={() => setShown(!shown)}>
              Head
            </Button>
            <Button disabled={chain.isFetching} onClick={() => void chain.refetch()}>
              {chain.isFetching ? "Verifying…" : "Verify"}
            </Button>
          </span>
        </div>
      )}
    </View>
  );
}
