import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { defaultContent, type RouteResponse } from "@x1agent/contract";
import { CircleCheck, CircleDashed } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Confirm, DialogForm } from "../../../components/dialog.tsx";
import { Field, SecretInput } from "../../../components/field.tsx";
import { MayNot, Only } from "../../../components/only.tsx";
import { Failure } from "../../../components/states.tsx";
import { View } from "../../../components/view.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { connectionsQuery, providersQuery, runtimesQuery, secretsQuery, useMay } from "../../../lib/queries.ts";
import { gitLogins, remoteOf } from "../remote.ts";
import type { Project } from "./project-page.tsx";

type Secret = RouteResponse<"listSecrets">["items"][number];
const reload = () =>
  Promise.all([
    queryClient.invalidateQueries({ queryKey: secretsQuery(null).queryKey.slice(0, 1) }),
    queryClient.invalidateQueries(providersQuery),
  ]);

/** Something a job of the project signs in with: stored for the project, for the organization, for both or not at all. */
type Login = {
  name: string;
  /** What it is for: a word. */
  what: "git" | "packages" | "models";
  /** Only a private key for SSH is of use there. */
  key: boolean;
  own: Secret | undefined;
  shared: Pick<Secret, "lastFour" | "lastUsedAt"> | undefined;
};
/** Whose a secret is: this project's, or the organization's. */
type Whose = "own" | "shared";
const words = { own: "this project's own", shared: "the organization's" } as const;

/** What a job of the project signs in with, outside its workspace: written here and never read again. */
export function Secrets({ project }: { project: Project }) {
  const mayAdmin = useMay("admin");
  const own = useQuery({ ...secretsQuery(project.id), enabled: mayAdmin });
  const shared = useQuery({ ...secretsQuery(null), enabled: mayAdmin });
  const [adding, setAdding] = useState(false);
  return (
    <section className="card" aria-labelledby="secrets">
      <div className="head">
        <h2 id="secrets">Secrets</h2>
        <Only scope="admin">
          <Button onClick={() => setAdding(true)}>Add a registry's login</Button>
        </Only>
      </div>
      <p className="quiet">
        What its jobs sign in with. They are sealed and used outside the workspace only: the agent can reach none of
        them. The project's own go before the organization's, which serve every project. A job whose words come from
        outside gets none of the project's own.
      </p>
      {mayAdmin ? (
        <View query={own} what="the project's secrets">
          {(mine) => (
            <View query={shared} what="the stored secrets">
              {({ items }) => <Logins project={project} own={mine.items} shared={items} />}
            </View>
          )}
        </View>
      ) : (
        <MayNot what="see or change stored logins" />
      )}
      <Keys project={project} own={own.data?.items ?? []} />
      {adding ? <SecretDialog project={project} close={() => setAdding(false)} /> : null}
    </section>
  );
}

type Stored = { project: Project; own: readonly Secret[]; shared: readonly Secret[] };
function Logins({ project, own, shared }: Stored) {
  const connections = useQuery(connectionsQuery);
  const { submodules, submoduleHosts } = project.content ?? defaultContent;
  const [mine, theirs] = [own, shared].map((secrets) => new Map(secrets.map((secret) => [secret.name, secret])));
  const git = gitLogins(
    project.repository,
    submodules === "hosts" ? submoduleHosts : [],
    new Set([...own, ...shared].map(({ name }) => name)),
  );
  const isGit = (name: string) => name.startsWith("git:");
  const isRegistry = (name: string) => name.startsWith("registry:");
  // What is stored for this project alone is shown whether it is of use or not: nowhere else could it be taken away.
  const idle = own.filter(({ name }) => isGit(name) && !git.some((login) => login.name === name));
  const registries = [...new Set([...own, ...shared].map(({ name }) => name).filter(isRegistry))].sort();
  const login = (name: string, what: Login["what"], key = false): Login => ({
    ...{ name, what, key, own: mine?.get(name), shared: theirs?.get(name) },
  });
  const remote = remoteOf(project.repository);
  const connected = connections.data?.items.some(({ state, baseUrl }) => {
    const forge = remoteOf(baseUrl);
    return (
      state === "active" && forge?.kind === remote?.kind && forge?.host === remote?.host && forge?.port === remote?.port
    );
  });
  return (
    <>
      <ul className="secrets" aria-label="Stored logins">
        {[
          ...git.map(({ name, key }) => login(name, "git", key)),
          ...idle.map(({ name }) => login(name, "git")),
          ...registries.map((name) => login(name, "packages")),
        ].map((one) => (
          <Entries key={one.name} project={project} login={one} />
        ))}
      </ul>
      {remote === null ? (
        <p className="quiet">The repository is a folder of the service: git signs in nowhere.</p>
      ) : null}
      {connected ? (
        <p className="quiet">
          Where one of the{" "}
          <Link to="/settings/$section" params={{ section: "connections" }}>
            connections
          </Link>{" "}
          reaches the repository, git signs in with that one's short-lived token instead.
        </p>
      ) : null}
      {registries.length === 0 ? <p className="quiet">No registry's login is stored.</p> : null}
    </>
  );
}

/** A login as lines: the project's own, the organization's, or that there is none. */
function Entries({ project, login }: { project: Project; login: Login }) {
  const { own, shared } = login;
  return (
    <>
      {own ? <Entry project={project} login={login} whose="own" /> : null}
      {shared || !own ? <Entry project={project} login={login} whose={shared ? "shared" : null} /> : null}
    </>
  );
}

type Open = { what: "set" | "remove"; whose: Whose | null };
function Entry({ project, login, whose }: { project: Project; login: Login; whose: Whose | null }) {
  const mayAdmin = useMay("admin");
  const [open, setOpen] = useState<Open | null>(null);
  const close = () => setOpen(null);
  const name = visible(login.name);
  const secret = whose && login[whose];
  const label = whose ? `${name}, ${words[whose]}` : name;
  // A provider's key for every project is set where providers are.
  const elsewhere = login.what === "models" && whose !== "own";
  const test = useMutation({
    mutationFn: () => client.testProvider({ params: { name: login.name }, query: { projectId: project.id } }),
    onSettled: reload,
  });
  const remove = () =>
    (open?.whose === "own"
      ? client.deleteProjectSecret({ params: { projectId: project.id, name: login.name } })
      : client.deleteSecret({ params: { name: login.name } })
    ).finally(reload);
  return (
    <li aria-label={label}>
      <State stored={secret !== undefined && secret !== null} />
      <div>
        {elsewhere ? <Link to="/providers">{name}</Link> : <code>{name}</code>}
        <span className="quiet block">
          for {login.what},{" "}
          {secret && whose ? (
            <>
              {words[whose]}, <Used lastFour={secret.lastFour} at={secret.lastUsedAt} />
              {whose === "shared" && login.own ? "; the project's own goes before it" : null}
            </>
          ) : login.what === "models" ? (
            "not set"
          ) : (
            "not set: what is public needs none"
          )}
        </span>
        {test.data ? <span role="status">{visible(test.data.detail)}</span> : null}
        {test.error ? <Failure error={test.error} /> : null}
      </div>
      {mayAdmin ? (
        <span className="buttons">
          {whose !== "own" && !login.own && (secret || elsewhere) ? (
            <Button onClick={() => setOpen({ what: "set", whose: "own" })} aria-label={`Set for this project: ${name}`}>
              Set for this project
            </Button>
          ) : null}
          {elsewhere ? null : (
            <Button
              onClick={() => setOpen({ what: "set", whose })}
              aria-label={`${secret ? "Replace" : "Set"} ${label}`}
            >
              {secret ? "Replace" : "Set"}
            </Button>
          )}
          {login.what === "models" && whose === "own" ? (
            <Button disabled={test.isPending} onClick={() => test.mutate()} aria-label={`Test ${label}`}>
              {test.isPending ? "Asking…" : "Test"}
            </Button>
          ) : null}
          {secret && !elsewhere ? (
            <Button onClick={() => setOpen({ what: "remove", whose })} aria-label={`Remove ${label}`}>
              Remove
            </Button>
          ) : null}
        </span>
      ) : null}
      {open?.what === "set" ? (
        <SecretDialog
          project={project}
          login={login}
          {...(open.whose ? { whose: open.whose } : {})}
          replaces={open.whose !== null && login[open.whose] !== undefined}
          close={close}
        />
      ) : null}
      {open?.what === "remove" ? (
        <Confirm title={`Remove ${name}`} action="Remove login" close={close} run={remove}>
          <p>
            The one ending in <code>{secret?.lastFour}</code> is removed here
            {open.whose === "own" ? ", from this project alone" : ", for every project"}; where it was issued it stays
            valid. Workspaces that run may use it until they end.
          </p>
        </Confirm>
      ) : null}
    </li>
  );
}

function State({ stored }: { stored: boolean }) {
  const [tone, Icon, word] = stored
    ? (["good", CircleCheck, "set"] as const)
    : (["neutral", CircleDashed, "not set"] as const);
  return (
    <span className={`state ${tone}`} title={word}>
      <Icon size={16} aria-label={word} />
    </span>
  );
}

function Used({ lastFour, at }: { lastFour: string | null; at: string | null }) {
  return (
    <>
      ends in <code>{lastFour}</code>,{" "}
      {at ? (
        <>
          used <Age at={at} />
        </>
      ) : (
        "never used"
      )}
    </>
  );
}

/** Keys of the providers that are stored, and that of the project's own runtime where it is not. */
function Keys({ project, own }: { project: Project; own: readonly Secret[] }) {
  const providers = useQuery(providersQuery);
  const runtimes = useQuery(runtimesQuery);
  const wanted = runtimes.data?.items.find(({ manifest }) => manifest.name === project.runtime)?.manifest.provider;
  const mine = own.filter(({ name }) => !name.includes(":"));
  return (
    <View query={providers} what="the providers">
      {({ items }) => {
        const shown = items.filter(
          ({ name, configured }) => configured || name === wanted || mine.some((secret) => secret.name === name),
        );
        const unrouted = mine.filter(({ name }) => !items.some((provider) => provider.name === name));
        return shown.length + unrouted.length === 0 ? (
          <p className="quiet">
            No key of a model provider is stored: <Link to="/providers">store one under Providers</Link>.
          </p>
        ) : (
          <ul className="secrets" aria-label="Keys of model providers">
            {[
              ...shown.map(({ name, configured, lastFour, lastUsedAt }) => ({
                ...{ name, own: mine.find((secret) => secret.name === name) },
                shared: configured ? { lastFour: lastFour ?? "", lastUsedAt } : undefined,
              })),
              ...unrouted.map((secret) => ({ name: secret.name, own: secret, shared: undefined })),
            ].map((one) => (
              <Entries key={one.name} project={project} login={{ ...one, what: "models", key: false }} />
            ))}
          </ul>
        );
      }}
    </View>
  );
}

type DialogProps = {
  project: Project;
  /** Absent: a registry's, whose host is asked for. */
  login?: Pick<Login, "name" | "key">;
  /** Absent: it is asked for. */
  whose?: Whose;
  replaces?: boolean;
  close(): void;
};
/** Takes a secret in; it is never shown again. */
function SecretDialog({ project, login, whose, replaces = false, close }: DialogProps) {
  const [host, setHost] = useState("");
  const [value, setValue] = useState("");
  const [chosen, setChosen] = useState<Whose>(whose ?? "own");
  const store = async () => {
    const name = login?.name ?? `registry:${host.trim().toLowerCase()}`;
    const body = { value: value.trim() };
    await (chosen === "own"
      ? client.setProjectSecret({ params: { projectId: project.id, name }, body })
      : client.setSecret({ params: { name }, body }));
    setValue("");
    await reload();
  };
  const hint = "Sealed when it arrives; only its last four characters are ever shown again.";
  const control: { label: ReactNode; hint: string } = login?.key
    ? { label: "Private key", hint: `OpenSSH's or PEM, without a passphrase. ${hint}` }
    : { label: login && !login.name.includes(":") ? "Key" : "Token, or user:password", hint };
  const title = login ? `${replaces ? "Replace" : "Set"} ${visible(login.name)}` : "Add a registry's login";
  return (
    <DialogForm
      title={whose ? `${title}, ${words[whose]}` : title}
      action="Store"
      busy="Sealing…"
      close={close}
      run={store}
    >
      {login ? null : (
        <Field
          label="Host"
          hint="Where npm or pip of this machine is configured to look, with the port where the address has one."
        >
          <input
            required
            maxLength={260}
            placeholder="packages.example.com"
            pattern="[A-Za-z0-9.\-]+(:\d{1,5})?"
            value={host}
            onChange={(event) => setHost(event.target.value)}
          />
        </Field>
      )}
      <Field {...control}>
        {login?.key ? (
          <textarea
            className="mono"
            rows={6}
            autoComplete="off"
            required
            maxLength={100_000}
            spellCheck={false}
            value={value}
            onChange={(event) => setValue(event.target.value)}
          />
        ) : (
          <SecretInput value={value} set={setValue} />
        )}
      </Field>
      {whose ? null : (
        <fieldset className="scopes">
          <legend>Who uses it</legend>
          {(["own", "shared"] as const).map((one) => (
            <label key={one} className="check">
              <input type="radio" name="whose" checked={chosen === one} onChange={() => setChosen(one)} />{" "}
              {one === "own" ? "This project alone" : "Every project of the organization"}
            </label>
          ))}
        </fieldset>
      )}
    </DialogForm>
  );
}
