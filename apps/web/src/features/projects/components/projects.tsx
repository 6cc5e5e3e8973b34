import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { type FormEvent, useRef } from "react";
import { Age } from "../../../components/age.tsx";
import { Button } from "../../../components/button.tsx";
import { Empty, Failure, Loading } from "../../../components/states.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { useTitle } from "../../../lib/title.ts";
import { projectsQuery } from "../queries.ts";

export function Projects() {
  useTitle("Projects");
  const projects = useQuery(projectsQuery);
  const form = useRef<HTMLDialogElement>(null);
  const add = () => form.current?.showModal();
  return (
    <>
      <div className="head">
        <h1>Projects</h1>
        <Button look="primary" onClick={add}>
          Add project
        </Button>
      </div>
      {projects.isPending ? (
        <Loading />
      ) : !projects.data ? (
        <Failure error={projects.error} retry={() => void projects.refetch()} />
      ) : projects.data.items.length === 0 ? (
        <Empty>
          <p>No project yet. A project is a repository with the commands and limits its jobs start with.</p>
          <Button onClick={add}>Add a repository</Button>
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
      <dialog ref={form} aria-labelledby="add-project">
        <AddProject close={() => form.current?.close()} />
      </dialog>
    </>
  );
}

function AddProject({ close }: { close(): void }) {
  const navigate = useNavigate();
  const create = useMutation({
    mutationFn: client.createProject,
    onSuccess: (project) => {
      void queryClient.invalidateQueries({ queryKey: ["projects"] });
      return navigate({ to: "/projects/$projectId", params: { projectId: project.id } });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const repository = String(new FormData(event.currentTarget).get("repository")).trim();
    create.mutate({ body: { repository } });
  };
  return (
    <form className="form" onSubmit={submit}>
      <h2 id="add-project">Add a project</h2>
      <label>
        Repository
        <input
          name="repository"
          required
          maxLength={2000}
          placeholder="/srv/git/app or https://git.example.com/team/app.git"
        />
      </label>
      {create.isError ? <Failure error={create.error} /> : null}
      <div className="buttons">
        <Button type="submit" look="primary" disabled={create.isPending}>
          Add
        </Button>
        <Button onClick={close}>Cancel</Button>
      </div>
    </form>
  );
}
