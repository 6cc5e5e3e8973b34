import { accept, type Outcome } from "@x1agent/contract";
import { createProject, getProject, listProjects, updateProject } from "@x1agent/domain-projects";
import type { Database } from "@x1agent/kernel";
import { audited } from "./audit.ts";
import type { UseCases } from "./index.ts";

export type ProjectDeps = {
  db: Pick<Database, "tenant">;
  /** The address in its one canonical form, or why it cannot be used. */
  canonicalRepository(text: string): Outcome<string>;
};

/** Projects: one for each repository of an organization. */
export function projectUseCases({ db, canonicalRepository }: ProjectDeps): UseCases["projects"] {
  return {
    list: (caller, { limit, cursor }) => db.tenant(caller.organizationId, (tx) => listProjects(tx, limit, cursor)),
    async create(caller, body) {
      const repository = canonicalRepository(body.repository);
      if (!repository.ok) return repository;
      return db.tenant(caller.organizationId, async (tx) => {
        const made = await createProject(tx, caller.organizationId, { ...body, repository: repository.value });
        if (made.ok) await audited(tx, caller, "project.created", made.value.id, { repository: repository.value });
        return made;
      });
    },
    get: (caller, projectId) => db.tenant(caller.organizationId, (tx) => getProject(tx, projectId)),
    update: (caller, projectId, body) =>
      db.tenant(caller.organizationId, async (tx) => {
        const changed = await updateProject(tx, projectId, definedOnly(body));
        if (changed.ok) await audited(tx, caller, "project.changed", projectId, { fields: Object.keys(body) });
        return changed.ok ? accept(changed.value) : changed;
      }),
  };
}

const definedOnly = <T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never;
