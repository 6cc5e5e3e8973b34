import { useMutation, useQuery } from "@tanstack/react-query";
import { CircleAlert, CircleCheck, Download } from "lucide-react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { CopyLine } from "../../../components/copy.tsx";
import { IsolationFacts } from "../../../components/isolation.tsx";
import { Failure } from "../../../components/states.tsx";
import { View } from "../../../components/view.tsx";
import { client } from "../../../lib/client.ts";
import { formatBytes, visible } from "../../../lib/format.ts";
import { doctorQuery } from "../../../lib/queries.ts";
import { saveFile } from "../../../lib/save.ts";
import { installationQuery } from "../api.ts";

/** What runs here, where it lies, whether it is well, and facts for somebody who helps. */
export function InstallationSection() {
  const installation = useQuery(installationQuery);
  const doctor = useQuery(doctorQuery);
  const bundle = useMutation({
    mutationFn: async () => {
      const text = await client.diagnostics();
      saveFile(`x1agent-diagnostics-${new Date().toISOString().slice(0, 10)}.json`, text, "application/json");
    },
  });
  return (
    <>
      <section className="panel" aria-labelledby="installation">
        <div className="panel-head">
          <h2 id="installation">Installation</h2>
          <Button disabled={bundle.isPending} onClick={() => bundle.mutate()}>
            <Download size={16} aria-hidden /> {bundle.isPending ? "Collecting…" : "Diagnostics"}
          </Button>
        </div>
        {bundle.error ? <Failure error={bundle.error} /> : null}
        <View query={installation} what="the installation">
          {(facts) => (
            <dl className="facts">
              <Fact name="Version">
                <span className="mono">{facts.version}</span> · contract <span className="mono">{facts.contract}</span>
              </Fact>
              <Fact name="Runs on">
                Node.js <span className="mono">{facts.node}</span>, {facts.platform}, as {facts.user}, since{" "}
                <Age at={facts.startedAt} />
              </Fact>
              <Fact name="Data directory">
                <code>{facts.dataDir}</code>
              </Fact>
              <Fact name="Blobs">
                <code>{facts.blobsDir}</code>
              </Fact>
              <Fact name="Database">
                {facts.database.kind === "embedded" ? "PostgreSQL that came with it" : "a PostgreSQL server of yours"},{" "}
                <span className="mono">{facts.database.version}</span>, {formatBytes(facts.database.bytes)}
              </Fact>
              <Fact name="Master key">
                {facts.masterKey.file ? <code>{facts.masterKey.file}</code> : "handed over at start; in no file"}
                <span className="sub quiet">
                  {" "}
                  Seals stored keys. Never in the data directory, a backup or the diagnostics.
                </span>
              </Fact>
            </dl>
          )}
        </View>
        <p className="hint">
          The diagnostics are a JSON file with these facts, the checks below and counts of jobs by state. No key, goal,
          event, log line or provider's address is in it: read it before you send it.
        </p>
      </section>
      <section className="panel" aria-labelledby="health">
        <div className="panel-head">
          <h2 id="health">Health</h2>
          <Button disabled={doctor.isFetching} onClick={() => void doctor.refetch()}>
            {doctor.isFetching ? "Looking…" : "Look again"}
          </Button>
        </div>
        <View query={doctor} what="the doctor's findings">
          {({ checks, isolation }) => (
            <>
              <ul className="checks">
                {checks.map((check) => (
                  <li key={check.name} className={check.ok ? "ok" : "failed"}>
                    {check.ok ? (
                      <CircleCheck size={16} aria-label="fine" />
                    ) : (
                      <CircleAlert size={16} aria-label="failed" />
                    )}
                    <strong>{visible(check.name)}</strong>
                    <div>
                      {visible(check.detail)}
                      {check.fix ? (
                        <div className="fix">
                          <CopyLine text={check.fix} label={`the command for ${check.name}`} />
                        </div>
                      ) : null}
                    </div>
                  </li>
                ))}
              </ul>
              {isolation ? (
                <details>
                  <summary>
                    Workspaces are isolated at level <strong>{isolation.level}</strong> by{" "}
                    {visible(isolation.mechanism)}
                  </summary>
                  <IsolationFacts report={isolation} />
                </details>
              ) : null}
            </>
          )}
        </View>
      </section>
    </>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
