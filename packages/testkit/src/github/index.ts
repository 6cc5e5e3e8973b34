export { loopbackCertificate } from "./certificate.ts";
export type { Fault } from "./faults.ts";
export { githubSchema } from "./graphql-schema.ts";
export type {
  Account,
  App,
  CheckRun,
  Installation,
  Issue,
  Permissions,
  Protection,
  Repository,
  Role,
  Token,
} from "./model.ts";
export { Person } from "./person.ts";
export type { Seen } from "./server.ts";
export {
  type Files,
  GithubStandIn,
  type LineRemark,
  type RepositoryName,
  type StandInOptions,
} from "./stand-in.ts";
export type { Delivery, Fate } from "./webhooks.ts";
