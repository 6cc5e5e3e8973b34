export { githubAddresses, githubCom } from "./addresses.ts";
export {
  appManifest,
  convertManifest,
  type GithubInstallation,
  listInstallations,
  type MadeApp,
  manifestAction,
} from "./app.ts";
export { createGithubForge } from "./github.ts";
export { githubWebhook } from "./webhook.ts";
