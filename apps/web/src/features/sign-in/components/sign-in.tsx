import { signInRefusal } from "../../../lib/sign-in.ts";

/** Says where a sign-in link comes from, and why the last one did not work. */
export function SignIn() {
  const refused = signInRefusal();
  return (
    <main className="sign-in">
      <h1>x1agent</h1>
      {refused ? <p role="alert">{refused}</p> : null}
      <p>
        Open the sign-in link that the service printed when it started. It works once, within five minutes; start the
        service again for another.
      </p>
    </main>
  );
}
