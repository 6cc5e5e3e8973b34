import { useMutation, useQuery } from "@tanstack/react-query";
import { type MemberRole, memberRoles, type RouteResponse } from "@x1agent/contract";
import { ShieldCheck } from "lucide-react";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { CopyLine } from "../../../components/copy.tsx";
import { Confirm, DialogForm } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { Only } from "../../../components/only.tsx";
import { Failure } from "../../../components/states.tsx";
import { View } from "../../../components/view.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { membersQuery, meQuery, useMay } from "../../../lib/queries.ts";
import { signInNameInput } from "../sign-in-name.ts";

type Member = RouteResponse<"listMembers">["items"][number];
type Link = { name: string; url: string };

const means: Record<MemberRole, string> = {
  owner: "everything, and makes other owners",
  admin: "everything but making owners",
  member: "sees, starts and steers jobs",
  reviewer: "sees, approves and rejects; starts nothing",
  viewer: "sees",
};

const changed = () =>
  Promise.all([queryClient.invalidateQueries(membersQuery), queryClient.invalidateQueries(meQuery)]);
const linkOf = async ({ id, name }: Pick<Member, "id" | "name">): Promise<Link> => {
  const { path } = await client.inviteMember({ params: { memberId: id } });
  return { name, url: `${window.location.origin}${path}` };
};

/** Who is in the organization, as what; owners and admins add people, change roles and take them away. */
export function PeopleSection() {
  const members = useQuery(membersQuery);
  const [adding, setAdding] = useState(false);
  const [link, setLink] = useState<Link | null>(null);
  const [removing, setRemoving] = useState<Member | null>(null);
  const invite = useMutation({ mutationFn: linkOf, onSuccess: setLink });
  return (
    <section aria-labelledby="people">
      <div className="panel-head">
        <h2 id="people">People</h2>
        <Only scope="admin">
          <Button look="primary" onClick={() => setAdding(true)}>
            Add a person
          </Button>
        </Only>
      </div>
      <p className="quiet">
        What somebody may do follows from their role, at once and for their API tokens too. Who is removed is signed
        out; what they did keeps their name.
      </p>
      {link ? (
        <div className="panel token-once" role="status">
          <div className="panel-head">
            <h2>
              <ShieldCheck size={16} aria-hidden /> A link for {visible(link.name)}
            </h2>
            <Button onClick={() => setLink(null)}>I have kept it</Button>
          </div>
          <p>
            It signs one browser in as {visible(link.name)}, once, within a day, as long as they keep their role. Send
            it on a way that only they read; in there they set a password or a passkey.
          </p>
          <CopyLine text={link.url} label="the link" />
        </div>
      ) : null}
      {invite.error ? <Failure error={invite.error} /> : null}
      <View query={members} what="the people of the organization">
        {({ items }) => (
          <div className="ledger-box">
            <table className="ledger" aria-label="People">
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col">Role</th>
                  <th scope="col">May</th>
                  <th scope="col">
                    <span className="hidden">Action</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {items
                  .filter(({ role }) => role !== "former")
                  .map((member) => (
                    <Person
                      key={member.id}
                      member={member}
                      invite={() => invite.mutate(member)}
                      remove={() => setRemoving(member)}
                    />
                  ))}
              </tbody>
            </table>
          </div>
        )}
      </View>
      {adding ? <AddPerson close={() => setAdding(false)} made={setLink} /> : null}
      {removing ? (
        <Confirm
          title={`Remove ${visible(removing.name)}`}
          action="Remove"
          close={() => setRemoving(null)}
          run={() => client.removeMember({ params: { memberId: removing.id } }).finally(changed)}
        >
          <p>
            <strong>{visible(removing.name)}</strong> is signed out everywhere and their API tokens work no more. Jobs
            that they started go on.
          </p>
        </Confirm>
      ) : null}
    </section>
  );
}

function Person({ member, invite, remove }: { member: Member; invite(): void; remove(): void }) {
  const me = useQuery(meQuery).data;
  const admin = useMay("admin");
  const setRole = useMutation({
    mutationFn: (role: MemberRole) => client.setMemberRole({ params: { memberId: member.id }, body: { role } }),
    onSettled: changed,
  });
  const mine = me?.actor.id === member.id;
  // An owner's role is another owner's matter; the service says so too.
  const mayChange = admin && (member.role !== "owner" || me?.role === "owner");
  const name = visible(member.name);
  return (
    <>
      <tr>
        <td>
          <span className="main">
            {name} {mine ? <span className="quiet">(you)</span> : null}
          </span>
          <span className="sub mono">{visible(member.signInName)}</span>
        </td>
        <td data-label="Role">
          {mayChange ? (
            <select
              aria-label={`Role of ${name}`}
              value={setRole.isPending ? setRole.variables : member.role}
              disabled={setRole.isPending}
              onChange={(event) => setRole.mutate(event.target.value as MemberRole)}
            >
              {memberRoles
                .filter((role) => role !== "owner" || me?.role === "owner")
                .map((role) => (
                  <option key={role}>{role}</option>
                ))}
            </select>
          ) : (
            visible(member.role)
          )}
        </td>
        <td data-label="May">{means[member.role as MemberRole] ?? "sees"}</td>
        <td className="act">
          {mayChange && !mine ? (
            <>
              <Button onClick={invite} aria-label={`Make a sign-in link for ${name}`}>
                Sign-in link
              </Button>{" "}
              <Button onClick={remove} aria-label={`Remove ${name}`}>
                Remove
              </Button>
            </>
          ) : null}
        </td>
      </tr>
      {setRole.error ? (
        <tr>
          <td colSpan={4}>
            <Failure error={setRole.error} />
          </td>
        </tr>
      ) : null}
    </>
  );
}

function AddPerson({ close, made }: { close(): void; made(link: Link): void }) {
  const me = useQuery(meQuery).data;
  const [name, setName] = useState("");
  const [signInName, setSignInName] = useState("");
  const [role, setRole] = useState<MemberRole>("member");
  const add = async () => {
    const member = await client.addMember({ body: { name, signInName, role } });
    void changed();
    made(await linkOf(member));
  };
  return (
    <DialogForm title="Add a person" action="Add and make a link" busy="Adding…" close={close} run={add}>
      <Field label="Name" hint="How others see who approved, granted and asked.">
        <input required maxLength={100} value={name} onChange={(event) => setName(event.target.value)} />
      </Field>
      <Field label="Sign-in name" hint="An e-mail address or a short name; nothing is sent to it.">
        <input {...signInNameInput} value={signInName} onChange={(event) => setSignInName(event.target.value)} />
      </Field>
      <fieldset className="scopes">
        <legend>Role</legend>
        {memberRoles
          .filter((one) => one !== "owner" || me?.role === "owner")
          .map((one) => (
            <label key={one} className="check">
              <input type="radio" name="role" checked={role === one} onChange={() => setRole(one)} />
              <span>
                <strong>{one}</strong> <span className="quiet">{means[one]}</span>
              </span>
            </label>
          ))}
      </fieldset>
    </DialogForm>
  );
}
