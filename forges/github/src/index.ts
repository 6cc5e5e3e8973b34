export {
  appManifest,
  convertManifest,
  type GithubInstallation,
  listInstallations,
  type MadeApp,
  manifestAction,
} from "./app.ts";
export type { GithubAuth, GithubOptions } from "./client.ts";
export { createGithubForge, neededPermissions } from "./github.ts";
