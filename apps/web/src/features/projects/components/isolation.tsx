import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { isolationRank, jobStates } from "@x1agent/contract";
import { CircleAlert, CircleCheck } from "lucide-react";
import { IsolationFacts, isolationCounts } from "../../../components/isolation.tsx";
import { View } from "../../../components/view.tsx";
import { client } from "../../../lib/client.ts";
import { visible } from "../../../lib/format.ts";
import { doctorQuery, jobQuery } from "../../../lib/queries.ts";
import type { Project } from "./project-page.tsx";

/** States in which a job has, or has had, a workspace; one that ended early may have had none. */
const begun = jobStates.filter((state) => state !== "queued" && state !== "provisioning").join(",");

/** The least that the project asks for, what this installation gives, and what its last job really had. */
export function Isolation({ project }: { project: Project }) {
  const doctor = useQuery(doctorQuery);
  return (
    <section className="card" aria-labelledby="isolation">
      <h2 id="isolation">Isolation</h2>
      <p>
        Its jobs need at least <strong>{project.minIsolation}</strong>.
      </p>
      <View query={doctor} what="how this installation isolates">
        {({ isolation }) => {
          const enough = isolation !== null && isolationRank(isolation.level) >= isolationRank(project.minIsolation);
          const Icon = enough ? CircleCheck : CircleAlert;
          return (
            <>
              <p className={enough ? "fit good" : "fit bad"}>
                <Icon size={16} aria-hidden />
                <span>
                  {isolation ? `This installation gives ${isolation.level}` : "This installation cannot isolate"}
                  {enough ? ". " : ": no job of the project starts here. "}
                  {isolation ? null : (
                    <Link to="/settings/$section" params={{ section: "installation" }}>
                      What is missing
                    </Link>
                  )}
                </span>
              </p>
              {isolation ? (
                <details>
                  <summary>
                    By {visible(isolation.mechanism)}: {isolationCounts(isolation)}
                  </summary>
                  <IsolationFacts report={isolation} />
                </details>
              ) : null}
            </>
          );
        }}
      </View>
      <LastJob projectId={project.id} />
    </section>
  );
}

function LastJob({ projectId }: { projectId: string }) {
  const last = useQuery({
    queryKey: ["jobs", "last", projectId],
    queryFn: ({ signal }) => client.listJobs({ query: { limit: 1, projectId, states: begun }, signal }),
  });
  return (
    <View query={last} what="its last job">
      {({ items: [job] }) =>
        job ? <Had jobId={job.id} title={visible(job.title)} /> : <p className="quiet">No job of it has run yet.</p>
      }
    </View>
  );
}

function Had({ jobId, title }: { jobId: string; title: string }) {
  const job = useQuery({ ...jobQuery(jobId), refetchInterval: false });
  return (
    <View query={job} what="its last job">
      {({ attempts }) => {
        const report = attempts.findLast(({ isolation }) => isolation !== null)?.isolation;
        return (
          <>
            <p>
              Its last job,{" "}
              <Link to="/jobs/$jobId" params={{ jobId }}>
                {title}
              </Link>
              , {report ? `had ${report.level}.` : "got no workspace."}
            </p>
            {report ? (
              <details>
                <summary>What it had: {isolationCounts(report)}</summary>
                <IsolationFacts report={report} />
              </details>
            ) : null}
          </>
        );
      }}
    </View>
  );
}
