import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { defaultContent, type RouteResponse } from "@x1agent/contract";
import { CircleCheck, CircleDashed } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Confirm, DialogForm } from "../../../components/dialog.tsx";
import { Field, SecretInput } from "../../../components/field.tsx";
import { MayNot, Only } from "../../../components/only.tsx";
import { View } from "../../../components/view.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { connectionsQuery, providersQuery, runtimesQuery, secretsQuery, useMay } from "../../../lib/queries.ts";
import { type GitLogin, gitLogins, remoteOf } from "../remote.ts";
import type { Project } from "./project-page.tsx";

type Secret = RouteResponse<"listSecrets">["items"][number];
const reload = () => queryClient.invalidateQueries(secretsQuery);

/** What a job of the project signs in with, outside its workspace: written here and never read again. */
export function Secrets({ project }: { project: Project }) {
  const mayAdmin = useMay("admin");
  const secrets = useQuery({ ...secretsQuery, enabled: mayAdmin });
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
        them. Each serves every project of the organization.
      </p>
      {mayAdmin ? (
        <View query={secrets} what="the stored secrets">
          {({ items }) => <Logins project={project} secrets={items} />}
        </View>
      ) : (
        <MayNot what="see or change stored logins" />
      )}
      <Keys project={project} />
      {adding ? <SecretDialog close={() => setAdding(false)} /> : null}
    </section>
  );
}

function Logins({ project, secrets }: { project: Project; secrets: readonly Secret[] }) {
  const connections = useQuery(connectionsQuery);
  const { submodules, submoduleHosts } = project.content ?? defaultContent;
  const stored = new Map(secrets.map((secret) => [secret.name, secret]));
  const logins = gitLogins(
    project.repository,
    submodules === "hosts" ? submoduleHosts : [],
    new Set(secrets.map(({ name }) => name)),
  );
  const own = remoteOf(project.repository);
  const connected = connections.data?.items.some(({ state, baseUrl }) => {
    const forge = remoteOf(baseUrl);
    return state === "active" && forge?.kind === own?.kind && forge?.host === own?.host && forge?.port === own?.port;
  });
  const registries = secrets.filter(({ name }) => name.startsWith("registry:"));
  return (
    <>
      <ul className="secrets" aria-label="Stored logins">
        {logins.map((login) => (
          <Entry key={login.name} login={login} secret={stored.get(login.name)} what="git" />
        ))}
        {registries.map((secret) => (
          <Entry key={secret.name} login={{ name: secret.name, key: false }} secret={secret} what="packages" />
        ))}
      </ul>
      {own === null ? <p className="quiet">The repository is a folder of the service: git signs in nowhere.</p> : null}
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

/** One secret that is or could be stored. */
function Entry({ login, secret, what }: { login: GitLogin; secret: Secret | undefined; what: string }) {
  const [open, setOpen] = useState<"set" | "remove" | null>(null);
  const close = () => setOpen(null);
  const name = visible(login.name);
  return (
    <li aria-label={name}>
      <State stored={secret !== undefined} />
      <div>
        <code>{name}</code>
        <span className="quiet block">
          for {what},{" "}
          {secret ? <Used lastFour={secret.lastFour} at={secret.lastUsedAt} /> : "not set: what is public needs none"}
        </span>
      </div>
      <span className="buttons">
        <Button onClick={() => setOpen("set")} aria-label={`${secret ? "Replace" : "Set"} ${name}`}>
          {secret ? "Replace" : "Set"}
        </Button>
        {secret ? (
          <Button onClick={() => setOpen("remove")} aria-label={`Remove ${name}`}>
            Remove
          </Button>
        ) : null}
      </span>
      {open === "set" ? <SecretDialog login={login} replaces={secret !== undefined} close={close} /> : null}
      {open === "remove" ? (
        <Confirm
          title={`Remove ${name}`}
          action="Remove login"
          close={close}
          run={() => client.deleteSecret({ params: { name: login.name } }).finally(reload)}
        >
          <p>
            The login ending in <code>{secret?.lastFour}</code> is removed here, for every project; where it was issued
            it stays valid. Workspaces that run may use it until they end.
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
function Keys({ project }: { project: Project }) {
  const providers = useQuery(providersQuery);
  const runtimes = useQuery(runtimesQuery);
  const wanted = runtimes.data?.items.find(({ manifest }) => manifest.name === project.runtime)?.manifest.provider;
  return (
    <View query={providers} what="the providers">
      {({ items }) => {
        const shown = items.filter(({ name, configured }) => configured || name === wanted);
        return shown.length === 0 ? (
          <p className="quiet">
            No key of a model provider is stored: <Link to="/providers">store one under Providers</Link>.
          </p>
        ) : (
          <ul className="secrets" aria-label="Keys of model providers">
            {shown.map(({ name, configured, lastFour, lastUsedAt }) => (
              <li key={name} aria-label={visible(name)}>
                <State stored={configured} />
                <div>
                  <Link to="/providers">{visible(name)}</Link>
                  <span className="quiet block">
                    for models, {configured ? <Used lastFour={lastFour} at={lastUsedAt} /> : "not set"}
                  </span>
                </div>
              </li>
            ))}
          </ul>
        );
      }}
    </View>
  );
}

/** Takes a login in; it is never shown again. Without a `login` it is a registry's, whose host is asked for. */
function SecretDialog({ login, replaces = false, close }: { login?: GitLogin; replaces?: boolean; close(): void }) {
  const [host, setHost] = useState("");
  const [value, setValue] = useState("");
  const store = async () => {
    await client.setSecret({
      params: { name: login?.name ?? `registry:${host.trim().toLowerCase()}` },
      body: { value: value.trim() },
    });
    setValue("");
    await reload();
  };
  const hint = "Sealed when it arrives; only its last four characters are ever shown again.";
  const control: { label: ReactNode; hint: string } = login?.key
    ? { label: "Private key", hint: `OpenSSH's or PEM, without a passphrase. ${hint}` }
    : { label: "Token, or user:password", hint };
  return (
    <DialogForm
      title={login ? `${replaces ? "Replace" : "Set"} ${visible(login.name)}` : "Add a registry's login"}
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
    </DialogForm>
  );
}
