import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { DialogForm } from "../../../components/dialog.tsx";
import { Field } from "../../../components/field.tsx";
import { Only } from "../../../components/only.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { projectsQuery } from "../../../lib/queries.ts";
import { useTitle } from "../../../lib/title.ts";

export function Projects() {
  useTitle("Projects");
  const projects = useQuery(projectsQuery);
  const [adding, setAdding] = useState(false);
  const add = () => setAdding(true);
  return (
    <>
      <div className="head">
        <h1>Projects</h1>
        <Only scope="write">
          <Button look="primary" onClick={add}>
            Add project
          </Button>
        </Only>
      </div>
      {projects.isPending ? (
        <Loading />
      ) : !projects.data ? (
        <Failure error={projects.error} retry={() => void projects.refetch()} />
      ) : projects.data.items.length === 0 ? (
        <Empty>
          <p>No project yet. A project is a repository with the commands and limits its jobs start with.</p>
          <Only scope="write">
            <Button onClick={add}>Add a repository</Button>
          </Only>
        </Empty>
      ) : (
        <ul className="rows projects" aria-label="Projects">
          {projects.data.items.map((project) => (
            <li key={project.id}>
              <Link to="/projects/$projectId" params={{ projectId: project.id }}>
                <span className="title">
                  <strong>{visible(project.name)}</strong>
                </span>
                <span className="title quiet mono">{visible(project.repository)}</span>
                <span className="quiet">
                  {project.approval.mode === "auto" ? "policy approves" : "a person approves"}
                </span>
                <Age at={project.createdAt} />
              </Link>
            </li>
          ))}
        </ul>
      )}
      {adding ? <AddProject close={() => setAdding(false)} /> : null}
    </>
  );
}

function AddProject({ close }: { close(): void }) {
  const navigate = useNavigate();
  const [repository, setRepository] = useState("");
  const create = async () => {
    const project = await client.createProject({ body: { repository: repository.trim() } });
    void queryClient.invalidateQueries(projectsQuery);
    await navigate({ to: "/projects/$projectId", params: { projectId: project.id } });
  };
  return (
    <DialogForm title="Add a project" action="Add" busy="Adding…" close={close} run={create}>
      <Field label="Repository" hint="A folder on the service's machine, or a git URL that it can reach.">
        <input
          required
          maxLength={2000}
          placeholder="/srv/git/app or https://git.example.com/team/app.git"
          value={repository}
          onChange={(event) => setRepository(event.target.value)}
        />
      </Field>
    </DialogForm>
  );
}
