import { useMutation, useQuery } from "@tanstack/react-query";
import { KeyRound, LogOut, TriangleAlert } from "lucide-react";
import { type FormEvent, useEffect, useState } from "react";
import { Button } from "../../../components/button.tsx";
import { CopyLine } from "../../../components/copy.tsx";
import { Field } from "../../../components/field.tsx";
import { queryClient } from "../../../lib/client.ts";
import { pageByName, passkeysWork, signInClient, signInRefusal } from "../../../lib/sign-in.ts";
import "../sign-in.css";

/** The ways in: a passkey, a password, or the link that always works. `ended`: this browser was signed in just now. */
export function SignIn({ ended = false }: { ended?: boolean }) {
  const methods = useQuery({ queryKey: ["sign-in"], queryFn: () => signInClient.methods(), staleTime: 0 });
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const refused = signInRefusal();
  useEffect(() => {
    document.title = "Sign in · x1agent";
  }, []);
  // Nothing of the person before is shown to the next one.
  const enter = () => queryClient.resetQueries();
  const byPassword = useMutation({
    mutationFn: () => signInClient.byPassword({ name, password }),
    onSuccess: enter,
    onError: () => setPassword(""),
  });
  const byPasskey = useMutation({
    mutationFn: async () => {
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON((await signInClient.passkeyOptions()) as never);
      const credential = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential | null;
      if (!credential) throw new Error("No passkey was chosen.");
      await signInClient.byPasskey(credential.toJSON() as never);
    },
    onSuccess: enter,
  });
  const error = byPassword.error ?? byPasskey.error;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    byPassword.mutate();
  };
  const byName = pageByName();
  const passkey = methods.data?.passkey ?? false;
  const usable = passkey && passkeysWork();
  const withPassword = methods.data?.password ?? false;
  return (
    <main className="sign-in">
      <div className="sign-in-brand">
        <img src="/icon.svg" alt="" width={28} height={28} />
        <strong>x1agent</strong>
      </div>
      <h1>Sign in</h1>
      {ended ? (
        <p role="status" className="sign-in-note">
          <LogOut size={16} aria-hidden /> This browser was signed out: its session ended, or was ended in another
          browser. What you had open is still at this address.
        </p>
      ) : null}
      {refused ? (
        <p role="alert" className="sign-in-note bad-note">
          <TriangleAlert size={16} aria-hidden /> {refused}
        </p>
      ) : null}
      {error ? (
        <p role="alert" className="sign-in-note bad-note">
          <TriangleAlert size={16} aria-hidden />{" "}
          {error.name === "NotAllowedError"
            ? "The passkey was not used: you cancelled, or time ran out."
            : error.message}
        </p>
      ) : null}
      {usable ? (
        <Button
          look={withPassword ? "plain" : "primary"}
          disabled={byPasskey.isPending}
          onClick={() => byPasskey.mutate()}
        >
          <KeyRound size={16} aria-hidden /> {byPasskey.isPending ? "Waiting for your passkey…" : "Use a passkey"}
        </Button>
      ) : null}
      {withPassword ? (
        <form className="form" onSubmit={submit}>
          <Field label="Name">
            <input
              autoComplete="username"
              required
              maxLength={100}
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          </Field>
          <Field label="Password">
            <input
              type="password"
              autoComplete="current-password"
              required
              maxLength={128}
              value={password}
              onChange={(event) => setPassword(event.target.value)}
            />
          </Field>
          <Button look="primary" type="submit" disabled={byPassword.isPending}>
            {byPassword.isPending ? "Signing in…" : "Sign in"}
          </Button>
        </form>
      ) : null}
      <section className="sign-in-link" aria-labelledby="by-link">
        <h2 id="by-link">{withPassword || usable ? "Or by a link" : "By a link"}</h2>
        <p>On the machine that runs the service, this prints a link that signs one browser in, within five minutes:</p>
        <CopyLine text="npx --no-install x1 sign-in" label="the command" />
        {withPassword || passkey ? null : (
          <p className="quiet">No password or passkey has been set yet: you find both in Settings, once you are in.</p>
        )}
        {passkey && !usable && byName ? (
          <p className="quiet">
            A passkey has been set, and passkeys belong to names:{" "}
            <a href={byName}>open {byName.replace(/^.*\/\//, "")}</a> to use it.
          </p>
        ) : null}
      </section>
    </main>
  );
}
