import type { RouteResponse } from "@x1agent/contract";
import { ShieldAlert } from "lucide-react";
import { CopyLine } from "../../../components/copy.tsx";
import { Field } from "../../../components/field.tsx";

type Account = RouteResponse<"getAccount">;

/** What a change of sign-in asks besides the session: nothing, the present password, or a new sign-in. */
export function Confirming(props: { by: Account["confirmBy"]; current: string; setCurrent(current: string): void }) {
  if (props.by === "sign_in")
    return (
      <div className="notice waiting">
        <ShieldAlert size={16} aria-hidden />
        <div>
          <p>You signed in a while ago. To change how you sign in, open a new link first:</p>
          <CopyLine text="npx --no-install x1 sign-in" label="the command" />
        </div>
      </div>
    );
  if (props.by !== "password") return null;
  return (
    <Field label="Present password" hint="You signed in a while ago: this shows that it is still you.">
      <input
        type="password"
        autoComplete="current-password"
        required
        maxLength={128}
        value={props.current}
        onChange={(event) => props.setCurrent(event.target.value)}
      />
    </Field>
  );
}
