import { accept, refuse } from "@x1agent/contract";
import { isPrivateKey } from "../../git/index.ts";
import type { Handlers } from "../call.ts";
import { numberedPage, wholePage } from "../presenters.ts";
import { callerOf } from "./common.ts";
import type { HandlerDeps } from "./index.ts";

type Names =
  | "me"
  | "doctor"
  | "listRuntimes"
  | "installRuntime"
  | "testRuntime"
  | "listProviders"
  | "setProvider"
  | "testProvider"
  | "listPrices"
  | "setPrice"
  | "deletePrice"
  | "listSecrets"
  | "setSecret"
  | "deleteSecret"
  | "listProjectSecrets"
  | "setProjectSecret"
  | "deleteProjectSecret"
  | "listAudit"
  | "verifyAudit"
  | "getInstallation"
  | "diagnostics"
  | "collectGarbage";

type CallOf = Parameters<typeof callerOf>[0];

/** Names of secrets: a provider, or `git:` or `registry:` and a host. */
const secretName = /^((?:git|registry):[a-z0-9.-]{1,253}(:\d{1,5})?|[a-z][a-z0-9-]{0,60})$/;
const providerName = /^[a-z][a-z0-9-]{0,60}$/;
/** A model's id as providers write them: `qwen/qwen3-coder:30b`, `claude-sonnet-4-5@20250929`. */
const modelName = /^[\w][\w./:@+-]{0,199}$/;

export function serviceHandlers({ useCases }: HandlerDeps): Pick<Handlers, Names> {
  const { runtimes, providers, secrets, audit } = useCases;
  const listed = async (call: CallOf, projectId: string | null) => {
    const found = await secrets.list(callerOf(call), projectId);
    return found.ok ? accept(wholePage(found.value)) : found;
  };
  const set = async (
    call: CallOf & { params: { name: string }; body: { value: string } },
    projectId: string | null,
  ) => {
    const { name } = call.params;
    const { value } = call.body;
    if (!secretName.test(name))
      return refuse("invalid_request", "A secret is named after a provider, or git:<host>, or registry:<host>.");
    // A line break in a credential would end the header it is sent in.
    const mayHaveLines = name.startsWith("git:") && isPrivateKey(value);
    if (/\0/.test(value) || (/[\r\n]/.test(value) && !mayHaveLines))
      return refuse("invalid_request", "A secret is one line, except an SSH private key for git:<host>.");
    return secrets.set(callerOf(call), projectId, name, value);
  };
  return {
    async me({ principal }) {
      const { actor, organizationId, organization, role, scopes } = principal;
      return accept({ actor, organizationId, organization, role, scopes: [...scopes] });
    },
    doctor: async () => accept(await useCases.doctor()),
    listRuntimes: async () => accept(wholePage(await runtimes.list())),
    installRuntime: async (call) => runtimes.install(call.params.name),
    testRuntime: (call) => runtimes.test(call.params.name),
    listProviders: async (call) => accept(wholePage(await providers.list(callerOf(call)))),
    async setProvider(call) {
      if (!providerName.test(call.params.name))
        return refuse("invalid_request", "A provider's name is lower-case letters, digits and dashes.");
      return providers.set(callerOf(call), call.params.name, call.body);
    },
    testProvider: (call) => providers.test(callerOf(call), call.params.name, call.query.projectId ?? null),
    listPrices: async (call) => accept(wholePage(await providers.prices(callerOf(call)))),
    async setPrice(call) {
      if (!modelName.test(call.params.model))
        return refuse("invalid_request", "A model's id is letters, digits and . / : @ + - _, at most 200 of them.");
      return providers.setPrice(callerOf(call), call.params.name, call.params.model, call.body);
    },
    async deletePrice(call) {
      return (await providers.deletePrice(callerOf(call), call.params.name, call.params.model))
        ? accept(null)
        : refuse("not_found", "No price of this model was stated.");
    },
    listSecrets: (call) => listed(call, null),
    setSecret: (call) => set(call, null),
    deleteSecret: (call) => secrets.delete(callerOf(call), null, call.params.name),
    listProjectSecrets: (call) => listed(call, call.params.projectId),
    setProjectSecret: (call) => set(call, call.params.projectId),
    deleteProjectSecret: (call) => secrets.delete(callerOf(call), call.params.projectId, call.params.name),
    async listAudit(call) {
      return accept(numberedPage(await audit.list(callerOf(call), call.query), call.query.limit));
    },
    verifyAudit: async (call) => accept(await audit.verify(callerOf(call))),
    getInstallation: async () => accept(await useCases.installation.describe()),
    diagnostics: async (call) => accept(await useCases.installation.diagnostics(callerOf(call))),
    collectGarbage: (call) => useCases.gc(callerOf(call), call.body),
  };
}
