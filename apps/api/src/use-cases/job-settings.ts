import {
  accept,
  defaultLimits,
  type IsolationLevel,
  isolationRank,
  type JobCreate,
  type Limits,
  type Outcome,
  type Project,
  type RuntimeManifest,
  refuse,
} from "@x1agent/contract";

/** What a job may spend when nobody says otherwise. */
export const DEFAULT_BUDGET_MICROS = 5_000_000;
const TITLE = 120;

export type RuntimeChoice = { manifest: RuntimeManifest; installed: boolean };
/** What is known when a job is asked for. */
export type JobFacts = {
  project: Pick<
    Project,
    | "setup"
    | "verify"
    | "verifyNetwork"
    | "runtime"
    | "model"
    | "defaultBranch"
    | "minIsolation"
    | "maxRounds"
    | "limits"
  >;
  runtimes: readonly RuntimeChoice[];
  /** Level that the driver offers here; null when it cannot run at all. */
  offered: IsolationLevel | null;
  /** The repository is the bundled sample, at one of its own commits. */
  sample: boolean;
};
/** Everything that a job is made with; nothing of it changes later but by an explicit retry. */
export type JobSettings = {
  title: string;
  goal: string;
  runtime: string;
  model: string;
  base: string | null;
  setup: string | null;
  verify: string | null;
  verifyNetwork: boolean;
  ask: boolean;
  isolation: IsolationLevel;
  maxRounds: number;
  budgetMicros: number;
  limits: Limits;
};

/** Settles a job's settings: what was asked for, else the project's, else the default. Pure; refuses what cannot run. */
export function settleJob(asked: JobCreate, facts: JobFacts): Outcome<JobSettings> {
  const runtime = chooseRuntime(asked.runtime ?? facts.project.runtime, facts.runtimes);
  if (!runtime.ok) return runtime;
  const isolation = chooseIsolation(asked.isolation, facts, runtime.value);
  if (!isolation.ok) return isolation;
  return accept({
    title: asked.title?.trim() || titleOf(asked.goal),
    goal: asked.goal,
    runtime: runtime.value.name,
    model: asked.model ?? facts.project.model ?? runtime.value.defaultModel,
    base: asked.base ?? facts.project.defaultBranch,
    setup: asked.setup ?? facts.project.setup,
    verify: asked.verify ?? facts.project.verify,
    verifyNetwork: facts.project.verifyNetwork,
    ask: asked.ask,
    isolation: isolation.value,
    maxRounds: asked.maxRounds ?? facts.project.maxRounds,
    budgetMicros: asked.budgetMicros ?? DEFAULT_BUDGET_MICROS,
    limits: { ...defaultLimits, ...facts.project.limits, ...given(asked.limits ?? {}) },
  });
}

/** Without the keys that are there but undefined: those must not hide a default. */
const given = <T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never;

/** The named runtime, else the installed one of the lowest rank. */
export function chooseRuntime(
  name: string | null | undefined,
  runtimes: readonly RuntimeChoice[],
): Outcome<RuntimeManifest> {
  if (name) {
    const found = runtimes.find(({ manifest }) => manifest.name === name);
    if (!found)
      return refuse(
        "runtime_unknown",
        `There is no runtime "${name}". There are: ${runtimes.map((r) => r.manifest.name).join(", ")}.`,
      );
    if (!found.installed) return refuse("runtime_not_installed", `${found.manifest.title} is not installed.`);
    return accept(found.manifest);
  }
  // A scripted engine is no default: it would "solve" a real goal with a script.
  const real = runtimes
    .filter(({ manifest }) => !manifest.processLevel)
    .sort((a, b) => a.manifest.rank - b.manifest.rank);
  const found = real.find((runtime) => runtime.installed);
  if (found) return accept(found.manifest);
  const [first] = real;
  return refuse(
    "runtime_not_installed",
    first ? `No runtime is installed: x1 runtimes install ${first.manifest.name}` : "No runtime is in the catalogue.",
  );
}

function chooseIsolation(
  asked: IsolationLevel | undefined,
  facts: JobFacts,
  runtime: RuntimeManifest,
): Outcome<IsolationLevel> {
  if (asked === "process") {
    // No isolation at all: only where neither the engine nor the code can be anybody's but ours.
    if (!runtime.processLevel || !facts.sample)
      return refuse(
        "isolation_unavailable",
        "Level process isolates nothing: it is for the bundled sample with the scripted runtime only.",
      );
    return accept("process");
  }
  const least = facts.project.minIsolation === "process" ? "namespaces" : facts.project.minIsolation;
  const wanted = asked && isolationRank(asked) > isolationRank(least) ? asked : least;
  if (facts.offered === null || isolationRank(facts.offered) < isolationRank(wanted))
    return refuse(
      "isolation_unavailable",
      `The job needs isolation by ${wanted}; here there is ${facts.offered ?? "none"}. \`x1 doctor\` says what is missing.`,
    );
  return accept(wanted);
}

/** First line of the goal that says something, without Markdown's heading signs. */
export function titleOf(goal: string): string {
  for (const line of goal.slice(0, 20_000).split("\n")) {
    const text = line
      .replace(/^[\s#>*-]+/, "")
      .replace(/\s+/g, " ")
      .trim();
    if (text) return [...text].length > TITLE ? `${[...text].slice(0, TITLE - 1).join("")}…` : text;
  }
  return "Untitled";
}
