import { createHmac, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { createRequire } from "node:module";
import { permits } from "./access.ts";
import type { Description, Shape } from "./description.ts";
import { type App, type Installation, notFound, Refused } from "./model.ts";
import { covers } from "./world/apps.ts";
import type { Happening, World } from "./world/world.ts";

/**
 * Deliveries to Apps' webhooks: payloads that start from GitHub's own examples with the stand-in's state laid over them,
 * held against the description, signed with the App's secret, and sent in order unless a test wants otherwise.
 */

/** One delivery, as GitHub keeps it for an App. */
export type Delivery = {
  id: number;
  /** `X-GitHub-Delivery`; a redelivery keeps it. */
  guid: string;
  app: App;
  event: string;
  action: string | undefined;
  installationId: number | undefined;
  repositoryId: number | undefined;
  /** The body, byte for byte. */
  text: string;
  redelivery: boolean;
  deliveredAt: string;
  /** 0 while it waits; 502 when nobody answered. */
  statusCode: number;
  status: string;
  durationSeconds: number;
  url: string;
  response: string;
};
/** What becomes of a delivery: `lose` is kept by GitHub as failed, `hold` waits for `release`, `twice` sends it twice. */
export type Fate = "send" | "lose" | "hold" | "twice";

const always = new Set(["installation", "installation_repositories", "installation_target"]);
/** Permission without which an App cannot subscribe to an event. */
const permissionOf: Record<string, string> = {
  issues: "issues",
  issue_comment: "issues",
  pull_request: "pull_requests",
  pull_request_review: "pull_requests",
  pull_request_review_comment: "pull_requests",
  check_run: "checks",
  check_suite: "checks",
  status: "statuses",
  push: "contents",
  create: "contents",
  delete: "contents",
};
/** GitHub gives an endpoint ten seconds. */
const patience = 10_000;
/** GitHub keeps deliveries for some days; the stand-in this many. */
const keptDeliveries = 20_000;

type Examples = Map<string, Shape[]>;
let examples: Promise<Examples> | undefined;
function loadExamples(): Promise<Examples> {
  examples ??= readFile(
    createRequire(import.meta.url).resolve("@octokit/webhooks-examples/api.github.com/index.json"),
    "utf8",
  ).then(
    (text) =>
      new Map((JSON.parse(text) as { name: string; examples: Shape[] }[]).map((one) => [one.name, one.examples])),
  );
  return examples;
}

const isObject = (value: unknown): value is Shape =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Our parts over GitHub's example: a part that the stand-in does not make is left out, a field it does not know is filled. */
function over(example: Shape | undefined, parts: Shape): Shape {
  if (!example) return parts;
  const out: Shape = {};
  for (const [key, value] of Object.entries(parts)) {
    const given = example[key];
    if (!isObject(value) || !isObject(given) || key === "changes") {
      out[key] = value;
      continue;
    }
    const { pull_request: _1, draft: _2, ...rest } = given;
    out[key] = { ...rest, ...value };
  }
  return out;
}

export class Webhooks {
  readonly #description: Description;
  readonly #world: () => World;
  readonly #violations: string[];
  readonly deliveries: Delivery[] = [];
  readonly #queue: Delivery[] = [];
  readonly #held: Delivery[] = [];
  #sending = 0;
  #stopped = false;
  #idle: (() => void)[] = [];
  /** Decides over each delivery; default all are sent. */
  fate: (delivery: Delivery) => Fate = () => "send";
  /** How many are on their way at once; default 1, so that they arrive in order. */
  parallel = 1;
  /** Certificate authority for receivers over TLS. */
  ca: string | undefined;

  constructor(input: { description: Description; world: () => World; violations: string[] }) {
    this.#description = input.description;
    this.#world = input.world;
    this.#violations = input.violations;
  }

  /** Takes what happened and makes a delivery for every App that hears it. */
  async announce(happening: Happening): Promise<void> {
    const world = this.#world();
    for (const app of world.apps.values()) {
      if (!app.webhook.active || !app.webhook.url) continue;
      const installation = this.#listener(app, happening);
      if (installation) await this.#make(app, installation, happening);
    }
  }

  #listener(app: App, happening: Happening): Installation | undefined {
    if (happening.installation) return happening.installation.app === app ? happening.installation : undefined;
    if (happening.app && happening.app !== app) return undefined;
    const { repository, event } = happening;
    for (const installation of this.#world().installations.values()) {
      if (installation.app !== app || installation.suspendedAt || !repository) continue;
      if (!covers(installation, repository)) continue;
      const permission = permissionOf[event];
      if (permission && !permits(installation.permissions, `${permission}:read`)) {
        // A comment on a pull request is heard with either permission.
        if (event !== "issue_comment" || !permits(installation.permissions, "pull_requests:read")) continue;
      }
      if (happening.app === app || always.has(event) || installation.events.includes(event)) return installation;
    }
    return undefined;
  }

  async #make(app: App, installation: Installation, happening: Happening): Promise<void> {
    const world = this.#world();
    const present = world.presenter();
    const { event, action, repository, actor, parts } = happening;
    const account = repository?.owner ?? installation.account;
    const whole: Shape = {
      ...(action ? { action } : {}),
      ...parts,
      ...(repository ? { repository: this.#repository(happening, present.repository(repository, true)) } : {}),
      ...(account.type === "Organization" && event !== "installation" && event !== "installation_repositories"
        ? { organization: present.organization(account) }
        : {}),
      installation:
        event === "installation" || event === "installation_repositories"
          ? present.installation(installation)
          : { id: installation.id, node_id: Buffer.from(`Installation${installation.id}`).toString("base64url") },
      sender: present.user(actor),
    };
    const found = (await loadExamples()).get(event);
    const payload = over(found?.find((one) => one.action === action) ?? found?.[0], whole);
    const misfit = this.#description.checkWebhook(event, action, payload);
    if (misfit) this.#violations.push(`${misfit.where}: ${misfit.message}`);
    const delivery = this.#delivery(app, event, action, payload, installation.id, repository?.id);
    this.#enqueue(delivery);
  }

  /** A push carries the repository in a form of its own, with times as seconds. */
  #repository(happening: Happening, shape: Shape): Shape {
    if (happening.event !== "push") return shape;
    const seconds = (time: unknown) => Math.floor(Date.parse(String(time)) / 1000);
    const owner = happening.repository!.owner;
    return {
      ...shape,
      created_at: seconds(shape.created_at),
      pushed_at: seconds(shape.pushed_at),
      master_branch: shape.default_branch,
      stargazers: 0,
      owner: { ...(shape.owner as Shape), name: owner.login, email: owner.email },
      ...(owner.type === "Organization" ? { organization: owner.login } : {}),
    };
  }

  #delivery(
    app: App,
    event: string,
    action: string | undefined,
    payload: Shape,
    installationId: number | undefined,
    repositoryId: number | undefined,
  ): Delivery {
    const delivery: Delivery = {
      id: this.#world().id(),
      guid: randomUUID(),
      app,
      event,
      action,
      installationId,
      repositoryId,
      text: JSON.stringify(payload),
      redelivery: false,
      deliveredAt: this.#world().time(),
      statusCode: 0,
      status: "pending",
      durationSeconds: 0,
      url: app.webhook.url ?? "",
      response: "",
    };
    this.deliveries.push(delivery);
    if (this.deliveries.length > keptDeliveries) this.deliveries.splice(0, this.deliveries.length - keptDeliveries);
    return delivery;
  }

  /** The first event of a new webhook. */
  ping(app: App): Delivery {
    const payload = {
      zen: "Keep it logically awesome.",
      hook_id: app.id,
      hook: {
        type: "App",
        id: app.id,
        name: "web",
        active: true,
        app_id: app.id,
        events: app.events,
        config: { content_type: "json", insecure_ssl: "0", secret: "********", url: app.webhook.url },
        updated_at: app.updatedAt,
        created_at: app.createdAt,
        deliveries_url: `${this.#world().bases.api}/app/hook/deliveries`,
      },
    };
    const misfit = this.#description.checkWebhook("ping", undefined, payload);
    if (misfit) this.#violations.push(`${misfit.where}: ${misfit.message}`);
    const delivery = this.#delivery(app, "ping", undefined, payload, undefined, undefined);
    this.#enqueue(delivery);
    return delivery;
  }

  #enqueue(delivery: Delivery): void {
    const fate = this.fate(delivery);
    if (fate === "lose") {
      delivery.status = "failed to connect to host";
      delivery.statusCode = 502;
    } else if (fate === "hold") this.#held.push(delivery);
    else this.#queue.push(delivery, ...(fate === "twice" ? [delivery] : []));
    this.#pump();
  }

  /** Sends what was held back: in order, the other way round, or shuffled by a seed. */
  release(order: "in-order" | "reversed" | { seed: number } = "in-order"): void {
    const held = this.#held.splice(0);
    if (order === "reversed") held.reverse();
    else if (typeof order === "object") {
      let state = order.seed >>> 0 || 1;
      const next = () => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return (state >>> 0) / 2 ** 32;
      };
      for (let index = held.length - 1; index > 0; index--) {
        const other = Math.floor(next() * (index + 1));
        [held[index], held[other]] = [held[other]!, held[index]!];
      }
    }
    this.#queue.push(...held);
    this.#pump();
  }

  /** GitHub sends a delivery again: same guid, new id. */
  redeliver(delivery: Delivery): Delivery {
    const again: Delivery = {
      ...delivery,
      id: this.#world().id(),
      redelivery: true,
      deliveredAt: this.#world().time(),
      statusCode: 0,
      status: "pending",
      url: delivery.app.webhook.url ?? "",
    };
    this.deliveries.push(again);
    this.#queue.push(again);
    this.#pump();
    return again;
  }

  /** Resolves when nothing waits to be sent (what is held or lost does not count). */
  async settled(): Promise<void> {
    if (this.#queue.length === 0 && this.#sending === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  stop(): void {
    this.#stopped = true;
    this.#queue.length = 0;
    this.#wake();
  }

  #wake(): void {
    if (this.#queue.length > 0 || this.#sending > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #pump(): void {
    while (!this.#stopped && this.#sending < this.parallel) {
      const delivery = this.#queue.shift();
      if (!delivery) break;
      this.#sending += 1;
      void this.#send(delivery).finally(() => {
        this.#sending -= 1;
        this.#pump();
        this.#wake();
      });
    }
  }

  /** Headers of a delivery; the signature is that of GitHub: HMAC of the body's bytes. */
  headers(delivery: Delivery): Record<string, string> {
    const { secret } = delivery.app.webhook;
    const sign = (kind: string) =>
      createHmac(kind, secret ?? "")
        .update(delivery.text)
        .digest("hex");
    return {
      accept: "*/*",
      "content-type": "application/json",
      "user-agent": "GitHub-Hookshot/standin",
      "x-github-delivery": delivery.guid,
      "x-github-event": delivery.event,
      "x-github-hook-id": String(delivery.app.id),
      "x-github-hook-installation-target-id": String(delivery.app.id),
      "x-github-hook-installation-target-type": "integration",
      ...(secret
        ? { "x-hub-signature": `sha1=${sign("sha1")}`, "x-hub-signature-256": `sha256=${sign("sha256")}` }
        : {}),
    };
  }

  #send(delivery: Delivery): Promise<void> {
    const started = performance.now();
    return new Promise<void>((resolve) => {
      const done = (statusCode: number, status: string, text: string) => {
        delivery.statusCode = statusCode;
        delivery.status = status;
        delivery.response = text;
        delivery.durationSeconds = Math.round(performance.now() - started) / 1000;
        resolve();
      };
      let url: URL;
      try {
        url = new URL(delivery.url);
      } catch {
        done(502, "invalid url", "");
        return;
      }
      const send = url.protocol === "https:" ? httpsRequest : httpRequest;
      const request = send(
        url,
        {
          method: "POST",
          headers: { ...this.headers(delivery), "content-length": String(Buffer.byteLength(delivery.text)) },
          agent: false,
          signal: AbortSignal.timeout(patience),
          ...(this.ca ? { ca: this.ca } : {}),
        },
        (response) => {
          let text = "";
          response.on("data", (part: Buffer) => {
            if (text.length < 10_000) text += part.toString();
          });
          response.on("error", () => done(502, "failed to connect to host", text));
          response.on("end", () => {
            const code = response.statusCode ?? 502;
            done(code, code < 400 ? "OK" : `Invalid HTTP Response: ${code}`, text);
          });
        },
      );
      request.on("error", (error) =>
        error.name === "AbortError" || error.name === "TimeoutError"
          ? done(504, "timed out", "")
          : done(502, "failed to connect to host", ""),
      );
      request.end(delivery.text);
    });
  }

  /** Newest first. */
  deliveriesOf(app: App): Delivery[] {
    return this.deliveries.filter((one) => one.app === app).sort((a, b) => b.id - a.id);
  }

  delivery(app: App, id: number): Delivery {
    const found = this.deliveries.find((one) => one.app === app && one.id === id);
    if (!found) throw notFound();
    if (!found.app.webhook.url) throw new Refused(422, "The App has no webhook");
    return found;
  }

  summary(delivery: Delivery): Shape {
    return {
      id: delivery.id,
      guid: delivery.guid,
      delivered_at: delivery.deliveredAt,
      redelivery: delivery.redelivery,
      duration: delivery.durationSeconds,
      status: delivery.status,
      status_code: delivery.statusCode,
      event: delivery.event,
      action: delivery.action ?? null,
      installation_id: delivery.installationId ?? null,
      repository_id: delivery.repositoryId ?? null,
      throttled_at: null,
    };
  }

  detail(delivery: Delivery): Shape {
    return {
      ...this.summary(delivery),
      url: delivery.url,
      request: { headers: this.headers(delivery), payload: JSON.parse(delivery.text) as Shape },
      response: { headers: {}, payload: delivery.response },
    };
  }
}
