import { useMutation, useQuery } from "@tanstack/react-query";
import type { RouteResponse } from "@x1agent/contract";
import { CircleAlert, CircleCheck, CircleDashed, CircleHelp, KeyRound } from "lucide-react";
import { useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Confirm } from "../../../components/dialog.tsx";
import { Only } from "../../../components/only.tsx";
import { Failure } from "../../../components/states.tsx";
import { View } from "../../../components/view.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { providersQuery } from "../../../lib/queries.ts";
import { useTitle } from "../../../lib/title.ts";
import { KeyDialog, RouteDialog } from "./dialogs.tsx";
import { Prices } from "./prices.tsx";
import "../../../components/ledger.css";
import "../providers.css";

export type Provider = RouteResponse<"listProviders">["items"][number];
const reload = () => queryClient.invalidateQueries(providersQuery);

export function Providers() {
  useTitle("Providers");
  const providers = useQuery(providersQuery);
  const [adding, setAdding] = useState(false);
  return (
    <>
      <div className="head">
        <h1>Providers</h1>
        <Only scope="admin">
          <Button look="primary" onClick={() => setAdding(true)}>
            Add an endpoint
          </Button>
        </Only>
      </div>
      <p className="lead">
        Where models are called. Keys are sealed when they arrive and go to a job's sidecar only: no workspace, page or
        log ever holds one.
      </p>
      <View query={providers} what="the providers">
        {({ items }) => (
          <ul className="providers" aria-label="Providers">
            {items.map((provider) => (
              <Entry key={provider.name} provider={provider} />
            ))}
          </ul>
        )}
      </View>
      <Prices providers={(providers.data?.items ?? []).map(({ name }) => name)} />
      {adding ? <RouteDialog close={() => setAdding(false)} saved={reload} /> : null}
    </>
  );
}

function Entry({ provider }: { provider: Provider }) {
  const [open, setOpen] = useState<"key" | "route" | "forget" | null>(null);
  const close = () => setOpen(null);
  const test = useMutation({
    mutationFn: () => client.testProvider({ params: { name: provider.name }, query: {} }),
    onSettled: reload,
  });
  const name = visible(provider.name);
  return (
    <li className="panel" aria-label={name}>
      <div className="panel-head">
        <h2>{name}</h2>
        <span className={provider.configured ? "state good" : "state neutral"}>
          {provider.configured ? <CircleCheck size={16} aria-hidden /> : <CircleDashed size={16} aria-hidden />}
          {provider.configured ? "key stored" : "no key"}
        </span>
      </div>
      <dl className="facts">
        <div>
          <dt>Speaks</dt>
          <dd>{provider.api || "nothing yet"}</dd>
        </div>
        <div>
          <dt>Base URL</dt>
          <dd>
            <code>{visible(provider.baseUrl)}</code>{" "}
            {provider.allowPrivate ? <span className="chip">private address allowed</span> : null}
          </dd>
        </div>
        <div>
          <dt>Key</dt>
          <dd>
            {provider.configured ? (
              <>
                <code>…{provider.lastFour}</code>{" "}
                <span className="quiet">
                  {provider.lastUsedAt ? (
                    <>
                      used <Age at={provider.lastUsedAt} />
                    </>
                  ) : (
                    "never used"
                  )}
                </span>
              </>
            ) : (
              <span className="quiet">None stored: only an endpoint of your own that wants none can be called.</span>
            )}
          </dd>
        </div>
      </dl>
      {test.data ? <Finding result={test.data} /> : test.error ? <Failure error={test.error} /> : null}
      <Only scope="admin">
        <div className="buttons">
          <Button look={provider.configured ? "plain" : "primary"} onClick={() => setOpen("key")}>
            <KeyRound size={16} aria-hidden /> {provider.configured ? "Replace key" : "Store a key"}
          </Button>
          <Button disabled={test.isPending} onClick={() => test.mutate()}>
            {test.isPending ? "Asking…" : "Test"}
          </Button>
          <Button onClick={() => setOpen("route")}>Change address</Button>
          {provider.configured ? <Button onClick={() => setOpen("forget")}>Forget key</Button> : null}
        </div>
      </Only>
      {open === "key" ? <KeyDialog provider={provider} close={close} saved={reload} /> : null}
      {open === "route" ? <RouteDialog provider={provider} close={close} saved={reload} /> : null}
      {open === "forget" ? (
        <Confirm
          title={`Forget the key of ${name}`}
          action="Forget key"
          close={close}
          run={() => client.deleteSecret({ params: { name: provider.name } }).finally(reload)}
        >
          <p>
            The key ending in <code>{provider.lastFour}</code> is removed here; at the provider it stays valid. Jobs
            that run keep what their sidecar holds until they end; no other job gets it.
          </p>
        </Confirm>
      ) : null}
    </li>
  );
}

const looks = {
  accepted: { tone: "good", icon: CircleCheck, word: "It works" },
  refused: { tone: "bad", icon: CircleAlert, word: "The key is refused" },
  unsure: { tone: "waiting", icon: CircleHelp, word: "Reached, key not tested" },
  unreachable: { tone: "bad", icon: CircleAlert, word: "Not reached" },
} as const;

function Finding({ result }: { result: RouteResponse<"testProvider"> }) {
  const { tone, icon: Icon, word } = looks[result.outcome];
  return (
    <div className={`notice ${tone}`} role="status">
      <Icon size={16} aria-hidden />
      <div>
        <p>
          <strong>{word}.</strong> {visible(result.detail)} <span className="mono quiet">{result.latencyMs} ms</span>
        </p>
        {result.models.length > 0 ? (
          <details>
            <summary>Models it offers</summary>
            <p className="mono">{result.models.map((model) => visible(model)).join(", ")}</p>
          </details>
        ) : null}
      </div>
    </div>
  );
}
