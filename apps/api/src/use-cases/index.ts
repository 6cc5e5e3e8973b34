import type {
  Actor,
  Approval,
  ApprovalPolicy,
  AuditEntry,
  Budget,
  DiffFilePatch,
  Doctor,
  Evidence,
  Grant,
  InjectRequest,
  Job,
  Outcome,
  PolicyTrial,
  Project,
  ProjectTrial,
  Provider,
  Publication,
  RouteBody,
  RouteQuery,
  RouteResponse,
  Spend,
  StoredEvent,
  Token,
} from "@x1agent/contract";
import type { JobFilter } from "@x1agent/domain-jobs";
import type { Tx } from "@x1agent/kernel";
import type { AccountUseCases } from "./account.ts";
import type { FollowUpUseCases } from "./follow-ups.ts";
import type { ForgeUseCases } from "./forges.ts";
import type { InstallationUseCases } from "./installation.ts";
import type { MemberUseCases } from "./members.ts";
import type { RuntimeShelf } from "./runtimes.ts";

/** For whom a use-case works: every one sees only the caller's organization, and writes the caller down as the actor. */
export type Caller = {
  organizationId: string;
  actor: Actor;
  /** Of a request that shall take effect once: writes its answer down in the transaction that has the effect. */
  kept?: (tx: Tx, value: object) => Promise<void>;
};
export type PageOf<T> = { items: T[]; cursor: string | null };
export type PageRequest = { limit: number; cursor?: string | undefined };
type JobDetail = RouteResponse<"getJob">;
type Secret = RouteResponse<"setSecret">;
type CallSummary = RouteResponse<"listCalls">["items"][number];

/**
 * What the HTTP handlers ask of the rest of the service. Each call is one transaction over as many domains as it needs.
 * A refusal is an `Outcome`; `null` means that the caller's organization has no such thing.
 */
export type UseCases = {
  projects: {
    list(caller: Caller, page: PageRequest): Promise<PageOf<Project>>;
    create(caller: Caller, body: RouteBody<"createProject">): Promise<Outcome<Project>>;
    get(caller: Caller, projectId: string): Promise<Project | null>;
    update(caller: Caller, projectId: string, body: RouteBody<"updateProject">): Promise<Outcome<Project>>;
    tryPolicy(caller: Caller, projectId: string, policy: ApprovalPolicy): Promise<PolicyTrial | null>;
    startTrial(caller: Caller, projectId: string, body: RouteBody<"startTrial">): Promise<Outcome<ProjectTrial>>;
    trial(caller: Caller, projectId: string, trialId: string): Promise<ProjectTrial | null>;
    cancelTrial(caller: Caller, projectId: string, trialId: string): ProjectTrial | null;
  };
  jobs: {
    list(caller: Caller, filter: JobFilter): Promise<PageOf<Job>>;
    create(caller: Caller, body: RouteBody<"createJob">): Promise<Outcome<Job>>;
    get(caller: Caller, jobId: string): Promise<JobDetail | null>;
    cancel(caller: Caller, jobId: string): Promise<Outcome<Job>>;
    retry(caller: Caller, jobId: string, body: RouteBody<"retryJob">): Promise<Outcome<Job>>;
  };
  inbox: {
    get(caller: Caller): Promise<RouteResponse<"getInbox">>;
    dismiss(caller: Caller, key: string): Promise<void>;
  };
  /** Reach the session wherever it runs; refused by what the runtime's manifest declares. */
  sessions: {
    inject(caller: Caller, jobId: string, message: InjectRequest): Promise<Outcome<{ queued: boolean }>>;
    interrupt(caller: Caller, jobId: string): Promise<Outcome<{ interrupted: boolean }>>;
    answer(caller: Caller, jobId: string, body: RouteBody<"answerQuestion">): Promise<Outcome<{ answered: boolean }>>;
    setModel(caller: Caller, jobId: string, model: string): Promise<Outcome<{ model: string }>>;
    events(caller: Caller, jobId: string, after: number, limit: number): Promise<StoredEvent[]>;
    calls(caller: Caller, jobId: string, page: PageRequest): Promise<PageOf<CallSummary>>;
  };
  review: {
    evidence(caller: Caller, jobId: string): Promise<Evidence[]>;
    /** Unified diff of one round, or of the newest; null when there is none. */
    diff(caller: Caller, jobId: string, evidenceId: string | undefined): Promise<string | null>;
    /** The same file by file, `limit` of them from the `at`-th on; `more` when others follow. */
    diffFiles(
      caller: Caller,
      jobId: string,
      query: { evidenceId: string | undefined; at: number; limit: number; line: number },
    ): Promise<{ files: DiffFilePatch[]; more: boolean } | null>;
    /** A changed file's lines after the change; null when it is no file of that evidence or not kept. */
    source(
      caller: Caller,
      jobId: string,
      evidenceId: string,
      path: string,
    ): Promise<RouteResponse<"getDiffSource"> | null>;
    approvals(caller: Caller, jobId: string): Promise<Approval[]>;
    publications(caller: Caller, jobId: string): Promise<Publication[]>;
    decide(caller: Caller, jobId: string, body: RouteBody<"decide">): Promise<Outcome<Job>>;
    /** A blob that belongs to the job; null also when it exists and is another's. */
    blob(caller: Caller, jobId: string, digest: string): Promise<Uint8Array | null>;
  };
  grants: {
    list(caller: Caller, filter: { subject?: string | undefined; all: boolean }): Promise<Grant[]>;
    create(caller: Caller, body: RouteBody<"createGrant">): Promise<Outcome<Grant>>;
    revoke(caller: Caller, grantId: string): Promise<Grant | null>;
  };
  budgets: {
    list(caller: Caller): Promise<Budget[]>;
    set(caller: Caller, body: RouteBody<"setBudget">): Promise<Outcome<Budget>>;
  };
  spend: {
    report(caller: Caller, query: RouteQuery<"getSpend">): Promise<Outcome<Spend>>;
    csv(caller: Caller, query: RouteQuery<"exportSpend">): Promise<Outcome<string>>;
  };
  providers: {
    list(caller: Caller): Promise<Provider[]>;
    set(caller: Caller, name: string, body: RouteBody<"setProvider">): Promise<Outcome<Provider>>;
    /** One free call with the stored key; with a project, the key that its jobs get. */
    test(caller: Caller, name: string, projectId: string | null): Promise<Outcome<RouteResponse<"testProvider">>>;
    prices(caller: Caller): Promise<RouteResponse<"listPrices">["items"]>;
    /** States a model's price; holds for every attempt that starts from now on. */
    setPrice(
      caller: Caller,
      name: string,
      model: string,
      body: RouteBody<"setPrice">,
    ): Promise<Outcome<RouteResponse<"setPrice">>>;
    deletePrice(caller: Caller, name: string, model: string): Promise<boolean>;
  };
  /** The organization's own with `projectId` null, else those of that project alone. */
  secrets: {
    list(caller: Caller, projectId: string | null): Promise<Outcome<Secret[]>>;
    set(caller: Caller, projectId: string | null, name: string, value: string): Promise<Outcome<Secret>>;
    delete(caller: Caller, projectId: string | null, name: string): Promise<Outcome<null>>;
  };
  audit: {
    list(caller: Caller, query: RouteQuery<"listAudit">): Promise<AuditEntry[]>;
    verify(caller: Caller): Promise<RouteResponse<"verifyAudit">>;
  };
  identity: {
    createToken(caller: Caller, body: RouteBody<"createToken">): Promise<{ id: string; token: string }>;
    listTokens(caller: Caller): Promise<Token[]>;
    revokeToken(caller: Caller, tokenId: string): Promise<boolean>;
  };
  account: AccountUseCases;
  members: MemberUseCases;
  followUps: FollowUpUseCases;
  forges: ForgeUseCases;
  installation: InstallationUseCases;
  /** Writes an audit entry of what was done beside the database. */
  noted(caller: Caller, action: string, subject: string): Promise<void>;
  runtimes: Pick<RuntimeShelf, "list" | "install" | "test">;
  gc(caller: Caller, body: RouteBody<"collectGarbage">): Promise<Outcome<RouteResponse<"collectGarbage">>>;
  doctor(): Promise<Doctor>;
};
