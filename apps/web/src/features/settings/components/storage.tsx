import { useMutation, useQuery } from "@tanstack/react-query";
import type { RouteResponse } from "@x1agent/contract";
import { TriangleAlert } from "lucide-react";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { CopyLine } from "../../../components/copy.tsx";
import { Confirm } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { Failure } from "../../../components/states.tsx";
import { View } from "../../../components/view.tsx";
import { client } from "../../../lib/client.ts";
import { formatBytes, formatCount } from "../../../lib/format.ts";
import { installationQuery } from "../api.ts";

type Result = RouteResponse<"collectGarbage">;
const kinds: Record<Result["items"][number]["kind"], string> = {
  blobs: "Blobs that nothing names",
  mirrors: "Mirrors nobody used",
  job_caches: "Repositories of ended jobs",
  saved_sessions: "Saved sessions of ended jobs",
  idempotency_keys: "Idempotency keys, a day old",
};

/** How to keep the installation, and how to let go of what is no longer needed. */
export function StorageSection() {
  const installation = useQuery(installationQuery);
  return (
    <>
      <section className="panel" aria-labelledby="backup">
        <div className="panel-head">
          <h2 id="backup">Backup</h2>
        </div>
        <p className="quiet">
          While the service runs: all rows at one instant, every blob that a row names, and the repositories of waiting
          jobs. It is verified as it is written, and never overwrites another.
        </p>
        <View query={installation} what="where the installation lies">
          {({ dataDir, masterKey }) => (
            <ol className="steps">
              <li>
                <p>Write one, on the machine that runs the service:</p>
                <CopyLine
                  text={`npx --no-install x1 backup --data ${quoted(dataDir)} x1agent-backup.tar`}
                  label="the backup command"
                />
              </li>
              <li>
                <p>
                  Keep the master key somewhere else. Without it the stored keys of a backup cannot be opened; with it,
                  they can.
                </p>
                {masterKey.file ? (
                  <CopyLine text={masterKey.file} label="the master key's path" />
                ) : (
                  <p className="quiet">It was handed over at start and lies in no file of this service.</p>
                )}
              </li>
              <li>
                <p>Try it: restore into an empty folder, and start a service on that.</p>
                <CopyLine
                  text="npx --no-install x1 restore x1agent-backup.tar --data /path/to/empty"
                  label="the restore command"
                />
              </li>
            </ol>
          )}
        </View>
      </section>
      <Retention />
    </>
  );
}

/** A path as a shell takes it. */
const quoted = (path: string) => (/^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);

function Retention() {
  const [days, setDays] = useState(30);
  const [asking, setAsking] = useState(false);
  const look = useMutation({
    mutationFn: () => client.collectGarbage({ body: { dryRun: true, retentionDays: days } }),
  });
  const free = useMutation({
    mutationFn: () => client.collectGarbage({ body: { dryRun: false, retentionDays: days } }),
    onSuccess() {
      setAsking(false);
      look.reset();
    },
  });
  const shown = free.data ?? look.data;
  const bytes = (result: Result) => result.items.reduce((sum, item) => sum + (item.bytes ?? 0), 0);
  const count = (result: Result) => result.items.reduce((sum, item) => sum + item.count, 0);
  return (
    <section className="panel" aria-labelledby="retention">
      <div className="panel-head">
        <h2 id="retention">Retention</h2>
      </div>
      <p className="quiet">
        Events, evidence and the audit log are kept for ever. What an ended job no longer needs can go: a retry of such
        a job begins a new session.
      </p>
      <div className="buttons">
        <Field label="Keep ended jobs' files for">
          <select
            value={days}
            onChange={(event) => {
              setDays(Number(event.target.value));
              look.reset();
              free.reset();
            }}
          >
            {[7, 30, 90, 365].map((choice) => (
              <option key={choice} value={choice}>
                {choice} days
              </option>
            ))}
          </select>
        </Field>
      </div>
      {look.error ? <Failure error={look.error} /> : null}
      {shown ? (
        <div className="ledger-box">
          <table className="ledger" aria-label={shown.dryRun ? "What would be freed" : "What was freed"}>
            <thead>
              <tr>
                <th scope="col">{shown.dryRun ? "Would be freed" : "Freed"}</th>
                <th scope="col" className="number">
                  Count
                </th>
                <th scope="col" className="number">
                  Size
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.items.map((item) => (
                <tr key={item.kind}>
                  <td>{kinds[item.kind]}</td>
                  <td className="number mono" data-label="Count">
                    {formatCount(item.count)}
                  </td>
                  <td className="number mono" data-label="Size">
                    {item.bytes === null ? "rows" : formatBytes(item.bytes)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : null}
      {shown?.skipped.includes("blobs") ? (
        <p className="hint">
          Blobs are left alone: their store lies outside the data directory, and others may use it.
        </p>
      ) : null}
      {free.data ? <p role="status">Freed {formatBytes(bytes(free.data))}.</p> : null}
      <div className="buttons">
        <Button disabled={look.isPending} onClick={() => look.mutate()}>
          {look.isPending ? "Counting…" : "Show what would be freed"}
        </Button>
        {look.data && count(look.data) > 0 ? (
          <Button look="danger" onClick={() => setAsking(true)}>
            Free {formatBytes(bytes(look.data))}
          </Button>
        ) : null}
      </div>
      {asking && look.data ? (
        <Confirm
          title="Free what nothing needs"
          action={`Free ${formatBytes(bytes(look.data))}`}
          close={() => setAsking(false)}
          run={() => free.mutateAsync()}
        >
          <p>
            <TriangleAlert size={16} aria-hidden /> {formatCount(count(look.data))} things of jobs that ended more than{" "}
            {days} days ago are removed. They do not come back.
          </p>
        </Confirm>
      ) : null}
    </section>
  );
}
