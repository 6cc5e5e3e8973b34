import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { RouteResponse } from "@x1agent/contract";
import { CircleAlert, CircleCheck, CirclePause, GitBranch } from "lucide-react";
import { useEffect, useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Confirm, DialogForm } from "../../../components/dialog.tsx";
import { Field, SecretInput } from "../../../components/field.tsx";
import { Filters, Words } from "../../../components/filters.tsx";
import { Only } from "../../../components/only.tsx";
import { OutLink } from "../../../components/out-link.tsx";
import { PagedList } from "../../../components/paged.tsx";
import { Empty, Failure } from "../../../components/states.tsx";
import { View } from "../../../components/view.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { formatCount, visible } from "../../../lib/format.ts";
import { connectionsQuery, repositoriesQuery } from "../../../lib/queries.ts";
import { useSettled } from "../../../lib/use-settled.ts";

type Connection = RouteResponse<"listForgeConnections">["items"][number];
type App = RouteResponse<"listForgeApps">["items"][number];
const reload = () => {
  void queryClient.invalidateQueries({ queryKey: ["forge-apps"] });
  return queryClient.invalidateQueries(connectionsQuery);
};

/** Where issues come from and pull requests go: by an app that the organization registers, or by one person's token. */
export function ConnectionsSection() {
  const connections = useQuery(connectionsQuery);
  const apps = useQuery({ queryKey: ["forge-apps"], queryFn: ({ signal }) => client.listForgeApps({ signal }) });
  const [open, setOpen] = useState<"token" | "app" | null>(null);
  const items = connections.data?.items ?? [];
  const removed = items.filter(({ state }) => state === "removed");
  return (
    <section aria-labelledby="connections">
      <div className="panel-head">
        <h2 id="connections">Connections</h2>
        <Only scope="admin">
          <Button onClick={() => setOpen("token")}>Connect with a token</Button>
          <Button look="primary" onClick={() => setOpen("app")}>
            Register a GitHub App
          </Button>
        </Only>
      </div>
      <p className="quiet">
        Issues become jobs and approved changes become pull requests through these. Credentials are stored sealed and
        never enter a workspace.
      </p>
      <View query={connections} what="the connections">
        {() =>
          items.length === removed.length && !apps.data?.items.length ? (
            <Empty>
              <p>
                Nothing is connected. An app of your own is the better way: its rights are few, end with each operation,
                and belong to nobody's account. A fine-grained token does for one person.
              </p>
            </Empty>
          ) : (
            <>
              {apps.data?.items.map((app) => (
                <AppCard key={app.id} app={app} />
              ))}
              {items
                .filter(({ state }) => state !== "removed")
                .map((connection) => (
                  <ConnectionCard key={connection.id} connection={connection} />
                ))}
            </>
          )
        }
      </View>
      {apps.error ? <Failure error={apps.error} retry={() => void apps.refetch()} /> : null}
      {removed.length > 0 ? (
        <details>
          <summary>{removed.length === 1 ? "1 removed connection" : `${removed.length} removed connections`}</summary>
          <ul className="things">
            {removed.map(({ id, account, baseUrl, detail, createdAt }) => (
              <li key={id}>
                <GitBranch size={16} aria-hidden />
                <div className="thing">
                  <strong>{visible(account)}</strong>
                  <span className="sub">
                    {visible(baseUrl)} · connected <Age at={createdAt} />
                    {detail ? ` · ${visible(detail)}` : ""}
                  </span>
                </div>
              </li>
            ))}
          </ul>
        </details>
      ) : null}
      {open === "token" ? <TokenDialog close={() => setOpen(null)} /> : null}
      {open === "app" ? <AppDialog close={() => setOpen(null)} /> : null}
    </section>
  );
}

const states = {
  active: ["good", CircleCheck, "active"],
  suspended: ["waiting", CirclePause, "suspended by its owner"],
  removed: ["neutral", CirclePause, "removed"],
  unauthorized: ["bad", CircleAlert, "no longer accepted"],
} as const;

function ConnectionCard({ connection }: { connection: Connection }) {
  const { id, account, kind, actsAs, baseUrl, state, detail, missing, limits, checkedAt } = connection;
  const [removing, setRemoving] = useState(false);
  const [listing, setListing] = useState(false);
  const check = useMutation({
    mutationFn: () => client.checkForgeConnection({ params: { connectionId: id } }),
    onSettled: reload,
  });
  const [tone, Icon, word] = states[state];
  const name = visible(account);
  return (
    <article className="panel" aria-label={name}>
      <div className="panel-head">
        <h3>{name}</h3>
        <span className={`state ${tone}`}>
          <Icon size={16} aria-hidden /> {word}
        </span>
      </div>
      {detail ? <p className={tone === "bad" ? "bad" : "quiet"}>{visible(detail)}</p> : null}
      <dl className="facts">
        <div>
          <dt>At</dt>
          <dd>
            <OutLink to={baseUrl}>{visible(baseUrl)}</OutLink>, by {kind === "app" ? "an app" : "a person's token"}, as{" "}
            <strong>{visible(actsAs)}</strong>
          </dd>
        </div>
        {limits ? (
          <div>
            <dt>Rate limit</dt>
            <dd>
              <Limits limits={limits} />
            </dd>
          </div>
        ) : null}
        <div>
          <dt>Asked</dt>
          <dd>{checkedAt ? <Age at={checkedAt} /> : "never"}</dd>
        </div>
      </dl>
      {missing.length > 0 ? (
        <div className="notice waiting">
          <CircleAlert size={16} aria-hidden />
          <ul className="plain-list">
            {missing.map((sentence) => (
              <li key={sentence}>{visible(sentence)}</li>
            ))}
          </ul>
        </div>
      ) : null}
      {check.error ? <Failure error={check.error} /> : null}
      <div className="buttons">
        {state === "active" ? (
          <Button aria-expanded={listing} onClick={() => setListing(!listing)}>
            Repositories
          </Button>
        ) : null}
        <Only scope="write">
          <Button disabled={check.isPending} onClick={() => check.mutate()}>
            {check.isPending ? "Asking…" : "Ask again"}
          </Button>
        </Only>
        <Only scope="admin">
          <Button onClick={() => setRemoving(true)}>Disconnect</Button>
        </Only>
      </div>
      {listing ? <Repositories connectionId={id} /> : null}
      {removing ? (
        <Confirm
          title={`Disconnect ${name}`}
          action="Disconnect"
          close={() => setRemoving(false)}
          run={() => client.removeForgeConnection({ params: { connectionId: id } }).finally(reload)}
        >
          <p>
            The stored credential is forgotten. Jobs that work on its issues go on; what they publish waits until the
            repository is connected again. History and pull requests stay.
          </p>
        </Confirm>
      ) : null}
    </article>
  );
}

function Limits({ limits: { limit, remaining, resetAt, retryAt } }: { limits: NonNullable<Connection["limits"]> }) {
  const words = `${formatCount(remaining)} of ${formatCount(limit)} requests left`;
  const at = (time: string) => new Date(time).toLocaleTimeString("en", { timeStyle: "short" });
  return (
    <>
      {words}, full again at {at(resetAt)}
      {retryAt ? <span className="bad"> · the forge asks to wait until {at(retryAt)}</span> : null}
      <meter min={0} max={limit || 1} low={limit * 0.1} value={remaining} aria-label={words} />
    </>
  );
}

function Repositories({ connectionId }: { connectionId: string }) {
  const [words, setWords] = useState("");
  const repositories = useInfiniteQuery(repositoriesQuery(connectionId, useSettled(words.trim())));
  const asked = repositories.dataUpdatedAt;
  // Each answer of the forge says what is left of its limit.
  useEffect(() => {
    if (asked > 0) void queryClient.invalidateQueries(connectionsQuery);
  }, [asked]);
  return (
    <div className="repositories">
      <Filters>
        <Words label="Part of a repository's name" placeholder="Search repositories" value={words} set={setWords} />
      </Filters>
      <PagedList
        of={repositories}
        what="repositories"
        empty={words ? "No repository's name has these words." : "The connection reaches none."}
      >
        {(found) => (
          <ul className="things" aria-label="Repositories">
            {found.map((repository) => (
              <li key={repository.id}>
                <GitBranch size={16} aria-hidden />
                <div className="thing">
                  <OutLink to={repository.webUrl}>{visible(repository.fullName)}</OutLink>
                  <span className="sub">
                    {repository.visibility}
                    {repository.archived ? " · archived" : ""}
                    {repository.mayPush ? "" : " · read only: nothing can be published there"}
                  </span>
                </div>
                {repository.hasIssues && !repository.archived ? (
                  <Only scope="write">
                    <Link
                      className="button"
                      to="/new"
                      search={{ connection: connectionId, repo: repository.fullName }}
                      aria-label={`Issues of ${visible(repository.fullName)}`}
                    >
                      Issues
                    </Link>
                  </Only>
                ) : null}
              </li>
            ))}
          </ul>
        )}
      </PagedList>
    </div>
  );
}

function AppCard({ app }: { app: App }) {
  const check = useMutation({
    mutationFn: () => client.checkForgeApp({ params: { appId: app.id } }),
    onSettled: reload,
  });
  const name = visible(app.name);
  return (
    <article className="panel" aria-label={`App ${name}`}>
      <div className="panel-head">
        <h3>{name}</h3>
        <span className="chip">app</span>
      </div>
      <p>
        Its owner chooses the repositories at the forge:{" "}
        <OutLink to={app.installUrl}>install it or choose repositories</OutLink>. Then look for its installations here;
        each is a connection.
      </p>
      {check.error ? <Failure error={check.error} /> : null}
      <div className="buttons">
        <Only scope="write">
          <Button disabled={check.isPending} onClick={() => check.mutate()}>
            {check.isPending ? "Looking…" : "Look for installations"}
          </Button>
        </Only>
        <span role="status" className="quiet">
          {check.data
            ? check.data.items.length === 1
              ? "1 installation."
              : `${check.data.items.length} installations.`
            : ""}
        </span>
      </div>
    </article>
  );
}

function TokenDialog({ close }: { close(): void }) {
  const [baseUrl, setBaseUrl] = useState("");
  const [token, setToken] = useState("");
  const connect = async () => {
    await client.createForgeConnection({
      body: { token: token.trim(), ...(baseUrl.trim() ? { baseUrl: baseUrl.trim() } : {}) },
    });
    setToken("");
    await reload();
  };
  return (
    <DialogForm title="Connect with a token" action="Connect" busy="Asking the forge…" close={close} run={connect}>
      <Field
        label="Token"
        hint="A fine-grained token of one person, for chosen repositories: contents, issues and pull requests, read and write. It is never shown again."
      >
        <SecretInput value={token} set={setToken} max={1_000} />
      </Field>
      <BaseUrl value={baseUrl} set={setBaseUrl} />
    </DialogForm>
  );
}

function BaseUrl({ value, set }: { value: string; set(value: string): void }) {
  return (
    <Field label="Address" hint="Empty for github.com; else your own server, such as https://github.example.com.">
      <input
        type="url"
        maxLength={2_000}
        placeholder="https://github.com"
        value={value}
        onChange={(event) => set(event.target.value)}
      />
    </Field>
  );
}

/** Makes a page from which the owner goes to the forge; what comes back from there is the app. */
function AppDialog({ close }: { close(): void }) {
  const [organization, setOrganization] = useState("");
  const [baseUrl, setBaseUrl] = useState("");
  const [webhooks, setWebhooks] = useState(false);
  const start = async () => {
    const { url } = await client.startForgeApp({
      body: {
        webhooks,
        url: window.location.origin,
        ...(organization.trim() ? { organization: organization.trim() } : {}),
        ...(baseUrl.trim() ? { baseUrl: baseUrl.trim() } : {}),
      },
    });
    window.location.assign(url);
  };
  return (
    <DialogForm
      title="Register a GitHub App"
      action="Go on to GitHub"
      busy="Making the page…"
      close={close}
      run={start}
    >
      <p className="box-text">
        GitHub makes the app from a manifest with the fewest rights that the product needs, and hands its key to this
        service alone. You see the rights there before you agree.
      </p>
      <Field label="Organization" hint="Its login, which will own the app; empty for your own account.">
        <input
          maxLength={100}
          pattern="[\w.\-]+"
          autoCapitalize="none"
          value={organization}
          onChange={(event) => setOrganization(event.target.value)}
        />
      </Field>
      <BaseUrl value={baseUrl} set={setBaseUrl} />
      <label className="check">
        <input type="checkbox" checked={webhooks} onChange={(event) => setWebhooks(event.target.checked)} />
        <span>
          GitHub reaches this address
          <span className="quiet block">Then it sends word at once; else it is asked now and then.</span>
        </span>
      </label>
    </DialogForm>
  );
}
