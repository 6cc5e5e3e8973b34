import { useState } from "react";
import { DialogForm } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { client } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";

const dollars = /^\$?(\d{1,6}(?:\.\d{1,6})?)$/;
/** An amount as typed, in dollars; undefined when the field was left empty. */
const amount = (text: string): number | undefined => {
  const found = dollars.exec(text.trim())?.[1];
  return found === undefined ? undefined : Number(found);
};
const fields = [
  { key: "input", label: "Input", hint: "" },
  { key: "output", label: "Output", hint: "" },
  { key: "read", label: "Cache read", hint: "Empty: as input." },
  { key: "write", label: "Cache write", hint: "Empty: as input." },
] as const;
type Key = (typeof fields)[number]["key"];

/** States what a model costs; it goes before the built-in list. */
export function PriceDialog(props: { providers: readonly string[]; close(): void; saved(): Promise<void> }) {
  const { providers, close, saved } = props;
  const [name, setName] = useState(providers[0] ?? "");
  const [model, setModel] = useState("");
  const [usd, setUsd] = useState<Record<Key, string>>({ input: "", output: "", read: "", write: "" });
  const [source, setSource] = useState("");
  const save = async () => {
    const [read, write] = [amount(usd.read), amount(usd.write)];
    await client.setPrice({
      params: { name, model: model.trim() },
      body: {
        inputUsdPerMTok: amount(usd.input) ?? 0,
        outputUsdPerMTok: amount(usd.output) ?? 0,
        ...(read === undefined ? {} : { cacheReadUsdPerMTok: read }),
        ...(write === undefined ? {} : { cacheWriteUsdPerMTok: write }),
        ...(source.trim() ? { source: source.trim() } : {}),
      },
    });
    await saved();
  };
  return (
    <DialogForm title="State a price" action="State price" busy="Saving…" close={close} run={save} wide>
      <div className="pair">
        <Field label="Provider">
          <select value={name} onChange={(event) => setName(event.target.value)}>
            {providers.map((one) => (
              <option key={one} value={one}>
                {visible(one)}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Model" hint="Its exact id, as jobs ask for it.">
          <input
            className="mono"
            required
            maxLength={200}
            spellCheck={false}
            autoCapitalize="none"
            value={model}
            onChange={(event) => setModel(event.target.value)}
          />
        </Field>
      </div>
      <div className="quarters">
        {fields.map(({ key, label, hint }) => (
          <Field key={key} label={label} hint={hint}>
            <input
              className="mono"
              inputMode="decimal"
              required={hint === ""}
              pattern="\$?\d{1,6}(\.\d{1,6})?"
              title="An amount such as 0.25"
              placeholder="0.25"
              value={usd[key]}
              onChange={(event) => setUsd({ ...usd, [key]: event.target.value })}
            />
          </Field>
        ))}
      </div>
      <p className="hint">In US dollars per million tokens. It holds from the next attempt on.</p>
      <Field label="Source" hint="Where it comes from: a page, a contract, your own hardware.">
        <input maxLength={500} value={source} onChange={(event) => setSource(event.target.value)} />
      </Field>
    </DialogForm>
  );
}
