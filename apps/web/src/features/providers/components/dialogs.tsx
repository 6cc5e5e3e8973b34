import type { RouteBodyInput } from "@x1agent/contract";
import { useState } from "react";
import { DialogForm } from "../../../components/dialog.tsx";
import { Field, SecretInput } from "../../../components/field.tsx";
import { client } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import type { Provider } from "./providers.tsx";

type Props = { close(): void; saved(): Promise<void> };
type Api = NonNullable<RouteBodyInput<"setProvider">["api"]>;
const apis: readonly Api[] = ["anthropic-messages", "openai-responses", "openai-chat"];

/** Takes a key in; it is never shown again. */
export function KeyDialog({ provider, close, saved }: Props & { provider: Provider }) {
  const [value, setValue] = useState("");
  const store = async () => {
    await client.setSecret({ params: { name: provider.name }, body: { value: value.trim() } });
    setValue("");
    await saved();
  };
  return (
    <DialogForm
      title={`${provider.configured ? "Replace" : "Store"} the key of ${visible(provider.name)}`}
      action="Store key"
      busy="Sealing…"
      close={close}
      run={store}
    >
      <Field
        label="API key"
        hint={`Sent only to ${visible(provider.baseUrl)}. Only its last four characters are ever shown again.`}
      >
        <SecretInput value={value} set={setValue} />
      </Field>
    </DialogForm>
  );
}

/** Changes where a provider is reached, or adds an endpoint of one's own. */
export function RouteDialog({ provider, close, saved }: Props & { provider?: Provider }) {
  const [name, setName] = useState(provider?.name ?? "");
  const [api, setApi] = useState<Api>("openai-chat");
  const [baseUrl, setBaseUrl] = useState(provider?.baseUrl ?? "");
  const [allowPrivate, setAllowPrivate] = useState(provider?.allowPrivate ?? false);
  const [ca, setCa] = useState("");
  const save = async () => {
    await client.setProvider({
      params: { name },
      body: { ...(provider ? {} : { api }), baseUrl, allowPrivate, ...(ca.trim() ? { ca } : {}) },
    });
    await saved();
  };
  return (
    <DialogForm
      title={provider ? `Where ${visible(provider.name)} is reached` : "Add an endpoint"}
      action="Save"
      busy="Saving…"
      close={close}
      run={save}
    >
      {provider ? null : (
        <div className="pair">
          <Field label="Name" hint="Lower-case letters, digits and dashes.">
            <input required pattern="[a-z][a-z0-9\-]{0,60}" value={name} onChange={(e) => setName(e.target.value)} />
          </Field>
          <Field label="Speaks" hint="The API format that it serves.">
            <select value={api} onChange={(event) => setApi(event.target.value as Api)}>
              {apis.map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </Field>
        </div>
      )}
      <Field label="Base URL" hint="Without the format's own path, such as https://models.example.com.">
        <input
          type="url"
          required
          maxLength={2_000}
          value={baseUrl}
          onChange={(event) => setBaseUrl(event.target.value)}
        />
      </Field>
      <label className="check">
        <input type="checkbox" checked={allowPrivate} onChange={(event) => setAllowPrivate(event.target.checked)} />
        It may have a private or loopback address
      </label>
      <details>
        <summary>It has a certificate of its own authority</summary>
        <Field label="Authority" hint="PEM, in addition to those that the machine trusts.">
          <textarea rows={4} className="mono" value={ca} onChange={(event) => setCa(event.target.value)} />
        </Field>
      </details>
      {provider?.configured ? (
        <p className="hint">
          From the next job on, the stored key goes to this address. Be sure that it is the provider's or your own.
        </p>
      ) : null}
    </DialogForm>
  );
}
