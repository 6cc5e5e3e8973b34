import { useMutation, useQuery } from "@tanstack/react-query";
import { passwordLength, type RouteResponse } from "@x1agent/contract";
import { Fingerprint, KeyRound } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Confirm, DialogForm } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { Failure } from "../../../components/states.tsx";
import { View } from "../../../components/view.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { accountQuery, membersQuery, sessionsQuery } from "../../../lib/queries.ts";
import { pageByName, passkeysWork } from "../../../lib/sign-in.ts";
import { signInNameInput } from "../sign-in-name.ts";
import { Browsers } from "./browsers.tsx";
import { Confirming } from "./confirming.tsx";

type Account = RouteResponse<"getAccount">;
const keep = (account: Account) => {
  queryClient.setQueryData(accountQuery.queryKey, account);
  void queryClient.invalidateQueries(membersQuery);
};

export function AccountSection() {
  const account = useQuery(accountQuery);
  return (
    <>
      <View query={account} what="your account">
        {(mine) => (
          <>
            <Profile account={mine} key={`${mine.name} ${mine.signInName}`} />
            <Password account={mine} />
            <Passkeys account={mine} />
          </>
        )}
      </View>
      <Browsers />
    </>
  );
}

function Profile({ account }: { account: Account }) {
  const [name, setName] = useState(account.name);
  const [signInName, setSignInName] = useState(account.signInName);
  const save = useMutation({
    mutationFn: () => client.updateAccount({ body: { name, signInName } }),
    onSuccess: keep,
  });
  const changed = name !== account.name || signInName !== account.signInName;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <section className="panel" aria-labelledby="profile">
      <div className="panel-head">
        <h2 id="profile">Profile</h2>
        <span className="chip">{account.role}</span>
      </div>
      <form className="form" onSubmit={submit}>
        <div className="pair">
          <Field label="Name" hint="How others see who approved, granted and asked.">
            <input
              required
              maxLength={100}
              autoComplete="name"
              value={name}
              onChange={(e) => setName(e.target.value)}
            />
          </Field>
          <Field label="Sign-in name" hint="What you type beside your password: an e-mail address or a short name.">
            <input
              {...signInNameInput}
              autoComplete="username"
              value={signInName}
              onChange={(e) => setSignInName(e.target.value)}
            />
          </Field>
        </div>
        {save.error ? <Failure error={save.error} /> : null}
        <Button type="submit" disabled={!changed || save.isPending}>
          {save.isPending ? "Saving…" : "Save"}
        </Button>
      </form>
    </section>
  );
}

function Password({ account }: { account: Account }) {
  const [open, setOpen] = useState<"set" | "remove" | null>(null);
  return (
    <section className="panel" aria-labelledby="password">
      <div className="panel-head">
        <h2 id="password">Password</h2>
        {account.passwordSetAt ? <Button onClick={() => setOpen("remove")}>Remove</Button> : null}
        <Button onClick={() => setOpen("set")}>{account.passwordSetAt ? "Change" : "Set a password"}</Button>
      </div>
      <p className="quiet">
        {account.passwordSetAt ? (
          <>
            Set <Age at={account.passwordSetAt} />. You sign in as <strong>{account.signInName}</strong>.
          </>
        ) : (
          "None set: you sign in by links from the command line, or by a passkey."
        )}
      </p>
      {open ? <PasswordDialog account={account} mode={open} close={() => setOpen(null)} /> : null}
    </section>
  );
}

function PasswordDialog({ account, mode, close }: { account: Account; mode: "set" | "remove"; close(): void }) {
  const [password, setPassword] = useState("");
  const [current, setCurrent] = useState("");
  const confirmation = current ? { current } : {};
  const change = async () => {
    keep(
      await (mode === "set"
        ? client.setPassword({ body: { password, ...confirmation } })
        : client.removePassword({ body: confirmation })),
    );
    void queryClient.invalidateQueries(sessionsQuery);
  };
  const short = password.length > 0 && password.length < passwordLength.min;
  return (
    <DialogForm
      title={mode === "set" ? "Set a password" : "Remove the password"}
      look={mode === "set" ? "primary" : "danger"}
      action={mode === "set" ? "Set password" : "Remove password"}
      busy="Saving…"
      disabled={account.confirmBy === "sign_in"}
      close={close}
      run={change}
    >
      {mode === "set" ? (
        <Field
          label="New password"
          hint={
            short
              ? `${passwordLength.min - password.length} more characters.`
              : `At least ${passwordLength.min} characters; length is what counts. Your other browsers are signed out.`
          }
        >
          <input
            type="password"
            autoComplete="new-password"
            required
            minLength={passwordLength.min}
            maxLength={passwordLength.max}
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
        </Field>
      ) : (
        <p>From then on you sign in by links from the command line, or by a passkey.</p>
      )}
      <Confirming by={account.confirmBy} current={current} setCurrent={setCurrent} />
    </DialogForm>
  );
}

function Passkeys({ account }: { account: Account }) {
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Account["passkeys"][number] | null>(null);
  const byName = pageByName();
  return (
    <section className="panel" aria-labelledby="passkeys">
      <div className="panel-head">
        <h2 id="passkeys">Passkeys</h2>
        {passkeysWork() ? <Button onClick={() => setAdding(true)}>Add a passkey</Button> : null}
      </div>
      <p className="quiet">
        {account.passkeys.length === 0
          ? "A passkey is kept by your device or password manager: nothing to type, nothing that can be given away."
          : "Each signs you in without a password."}
      </p>
      {passkeysWork() ? null : byName ? (
        <div className="notice">
          <Fingerprint size={16} aria-hidden />
          <p>
            Passkeys belong to a name, and this page is open at an address:{" "}
            <a href={`${byName}/settings/account`}>open it at {byName.replace(/^.*\/\//, "")}</a> and sign in there once
            more.
          </p>
        </div>
      ) : (
        <div className="notice">
          <Fingerprint size={16} aria-hidden />
          <p>This browser offers passkeys at https addresses and at localhost only.</p>
        </div>
      )}
      {account.passkeys.length > 0 ? (
        <ul className="things">
          {account.passkeys.map((passkey) => (
            <li key={passkey.id}>
              <KeyRound size={16} aria-hidden />
              <div className="thing">
                <strong>{visible(passkey.name)}</strong>
                <span className="sub">
                  Added <Age at={passkey.createdAt} /> ·{" "}
                  {passkey.lastUsedAt ? (
                    <>
                      used <Age at={passkey.lastUsedAt} />
                    </>
                  ) : (
                    "never used"
                  )}{" "}
                  · {passkey.synced ? "synced" : "on one device"}
                </span>
              </div>
              <Button onClick={() => setRemoving(passkey)} aria-label={`Remove ${passkey.name}`}>
                Remove
              </Button>
            </li>
          ))}
        </ul>
      ) : null}
      {adding ? <AddPasskey account={account} close={() => setAdding(false)} /> : null}
      {removing ? <RemovePasskey account={account} passkey={removing} close={() => setRemoving(null)} /> : null}
    </section>
  );
}

/** A first name for a passkey: where it is made. */
function thisDevice(): string {
  const system = /Windows|Mac|Android|iPhone|iPad|Linux/.exec(navigator.userAgent)?.[0] ?? "Device";
  return system === "Mac" ? "Mac" : system;
}

function AddPasskey({ account, close }: { account: Account; close(): void }) {
  const [name, setName] = useState(thisDevice);
  const [current, setCurrent] = useState("");
  const add = async () => {
    const options = await client.passkeyOptions({ body: current ? { current } : {} });
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options as never);
    const made = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential | null;
    if (!made) throw new Error("No passkey was made.");
    keep(await client.addPasskey({ body: { name, response: made.toJSON() as never } }));
  };
  const explain = (error: Error) => {
    const said = {
      InvalidStateError: "This device has a passkey for you already.",
      NotAllowedError: "No passkey was made: you cancelled, or time ran out.",
    }[error.name];
    return said ? <p role="alert">{said}</p> : null;
  };
  return (
    <DialogForm
      title="Add a passkey"
      action="Continue"
      busy="Waiting for your device…"
      disabled={account.confirmBy === "sign_in"}
      close={close}
      run={add}
      explain={explain}
    >
      <Field label="Name" hint="By which you know it again.">
        <input required maxLength={100} value={name} onChange={(event) => setName(event.target.value)} />
      </Field>
      <Confirming by={account.confirmBy} current={current} setCurrent={setCurrent} />
    </DialogForm>
  );
}

function RemovePasskey(props: { account: Account; passkey: Account["passkeys"][number]; close(): void }) {
  const { account, passkey, close } = props;
  const [current, setCurrent] = useState("");
  const remove = async () =>
    keep(await client.removePasskey({ params: { passkeyId: passkey.id }, body: current ? { current } : {} }));
  return (
    <Confirm
      title="Remove the passkey"
      action={`Remove ${passkey.name}`}
      disabled={account.confirmBy === "sign_in"}
      close={close}
      run={remove}
    >
      <p>
        <strong>{visible(passkey.name)}</strong> will no longer sign you in. Browsers that are signed in stay so.
      </p>
      <Confirming by={account.confirmBy} current={current} setCurrent={setCurrent} />
    </Confirm>
  );
}
