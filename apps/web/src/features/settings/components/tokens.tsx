import { queryOptions, useQuery } from "@tanstack/react-query";
import type { RouteBodyInput, RouteResponse } from "@x1agent/contract";
import { ShieldCheck } from "lucide-react";
import { useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { CopyLine } from "../../../components/copy.tsx";
import { Confirm, DialogForm } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { Empty } from "../../../components/states.tsx";
import { View } from "../../../components/view.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";

type Token = RouteResponse<"listTokens">["items"][number];
type Scope = RouteBodyInput<"createToken">["scopes"][number];
const scopes: readonly { scope: Scope; means: string }[] = [
  { scope: "read", means: "see jobs, evidence, budgets and permissions" },
  { scope: "write", means: "start, answer and stop jobs; change projects" },
  { scope: "approve", means: "approve and reject changes" },
  { scope: "admin", means: "grant, set budgets, store keys, make tokens" },
];
const lifetimes = [
  { days: 7, label: "7 days" },
  { days: 30, label: "30 days" },
  { days: 90, label: "90 days" },
  { days: 366, label: "1 year" },
  { days: 0, label: "never" },
] as const;

const tokensQuery = queryOptions({ queryKey: ["tokens"], queryFn: ({ signal }) => client.listTokens({ signal }) });

export function TokensSection() {
  const tokens = useQuery(tokensQuery);
  const [creating, setCreating] = useState(false);
  const [made, setMade] = useState<{ name: string; token: string } | null>(null);
  const [revoking, setRevoking] = useState<Token | null>(null);
  return (
    <section aria-labelledby="tokens">
      <div className="panel-head">
        <h2 id="tokens">API tokens</h2>
        <Button look="primary" onClick={() => setCreating(true)}>
          New token
        </Button>
      </div>
      <p className="quiet">
        For scripts, CI and the command line elsewhere (<code>X1_URL</code> and <code>X1_TOKEN</code>). A token's text
        is shown once; what is stored is its hash.
      </p>
      {made ? (
        <div className="panel token-once" role="status">
          <div className="panel-head">
            <h2>
              <ShieldCheck size={16} aria-hidden /> {visible(made.name)} is ready
            </h2>
            <Button onClick={() => setMade(null)}>I have kept it</Button>
          </div>
          <p>Copy it now: it is not shown again.</p>
          <CopyLine text={made.token} label="the token" />
        </div>
      ) : null}
      <View query={tokens} what="API tokens">
        {({ items }) =>
          items.length === 0 ? (
            <Empty>
              <p>No token yet.</p>
              <Button onClick={() => setCreating(true)}>Make the first one</Button>
            </Empty>
          ) : (
            <div className="ledger-box">
              <table className="ledger" aria-label="API tokens">
                <thead>
                  <tr>
                    <th scope="col">Name</th>
                    <th scope="col">May</th>
                    <th scope="col">Made</th>
                    <th scope="col">Last used</th>
                    <th scope="col">Expires</th>
                    <th scope="col">
                      <span className="hidden">Action</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((token) => (
                    <tr key={token.id}>
                      <td>
                        <span className="main">{visible(token.name ?? "unnamed")}</span>
                        <span className="sub mono">{token.start}…</span>
                      </td>
                      <td data-label="May">{token.scopes.join(", ")}</td>
                      <td data-label="Made" className="nowrap">
                        <Age at={token.createdAt} />
                      </td>
                      <td data-label="Last used" className="nowrap">
                        {token.lastUsedAt ? <Age at={token.lastUsedAt} /> : <span className="quiet">never</span>}
                      </td>
                      <td data-label="Expires" className="nowrap">
                        <Expiry at={token.expiresAt} />
                      </td>
                      <td className="act">
                        <Button onClick={() => setRevoking(token)} aria-label={`Revoke ${token.name ?? token.id}`}>
                          Revoke
                        </Button>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </View>
      {creating ? <CreateToken close={() => setCreating(false)} made={setMade} /> : null}
      {revoking ? <RevokeToken token={revoking} close={() => setRevoking(null)} /> : null}
    </section>
  );
}

/** A day to come, said as one: an age would say "now". */
function Expiry({ at }: { at: string | null }) {
  if (at === null) return <span className="quiet">never</span>;
  const days = Math.ceil((Date.parse(at) - Date.now()) / 86_400_000);
  return (
    <time dateTime={at} title={new Date(at).toLocaleString("en", { dateStyle: "medium", timeStyle: "long" })}>
      {days <= 0 ? "expired" : days === 1 ? "in 1 day" : `in ${days} days`}
    </time>
  );
}

function CreateToken({ close, made }: { close(): void; made(token: { name: string; token: string }): void }) {
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState<readonly Scope[]>(["read"]);
  const [days, setDays] = useState<number>(90);
  const create = async () => {
    const { token } = await client.createToken({
      body: { name: name.trim(), scopes: [...chosen], ...(days > 0 ? { expiresInSeconds: days * 86_400 } : {}) },
    });
    made({ name: name.trim(), token });
    void queryClient.invalidateQueries(tokensQuery);
  };
  const toggle = (scope: Scope) =>
    setChosen((before) => (before.includes(scope) ? before.filter((one) => one !== scope) : [...before, scope]));
  return (
    <DialogForm
      title="New API token"
      action="Make token"
      busy="Making…"
      disabled={chosen.length === 0}
      close={close}
      run={create}
    >
      <Field label="Name" hint="Where it will be used, such as ci or laptop.">
        <input required maxLength={32} pattern=".*\S.*" value={name} onChange={(e) => setName(e.target.value)} />
      </Field>
      <fieldset className="scopes">
        <legend>It may</legend>
        {scopes.map(({ scope, means }) => (
          <label key={scope} className="check">
            <input type="checkbox" checked={chosen.includes(scope)} onChange={() => toggle(scope)} />
            <span>
              <strong>{scope}</strong> <span className="quiet">{means}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <Field label="Expires">
        <select value={days} onChange={(event) => setDays(Number(event.target.value))}>
          {lifetimes.map(({ days, label }) => (
            <option key={days} value={days}>
              {days > 0 ? `after ${label}` : label}
            </option>
          ))}
        </select>
      </Field>
    </DialogForm>
  );
}

function RevokeToken({ token, close }: { token: Token; close(): void }) {
  return (
    <Confirm
      title="Revoke the token"
      action="Revoke token"
      close={close}
      run={() =>
        client.revokeToken({ params: { tokenId: token.id } }).finally(() => queryClient.invalidateQueries(tokensQuery))
      }
    >
      <p>
        <strong>{visible(token.name ?? token.id)}</strong> (<code>{token.start}…</code>) will work nowhere any more, and
        what reads live with it is cut off within seconds.
      </p>
      {token.name === "local" ? (
        <p>This is the token of the command line on the service's own machine: the next start makes another.</p>
      ) : null}
    </Confirm>
  );
}
