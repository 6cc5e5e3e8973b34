import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bench, cpuMicros, type Figure, interleave, median, type Part, pause, root, startPart } from "./lib.ts";

/** The sidecar's inference proxy with grants, money and metering on, for calls inside a held lease. */
const jobToken = "bench-job-token";
const model = "claude-sonnet-4-5";
const agent = new Agent({ keepAlive: true, noDelay: true, maxSockets: 1 } as never);

type Target = { socketPath: string; prefix: string } | { port: number; prefix: string };

/** A conversation of about this many bytes, as a coding agent sends it. */
function bodyOf(bytes: number): Buffer {
  const head = { model, max_tokens: 1_000, stream: true };
  const one = "const answer = compute(input);\n".repeat(30);
  const messages: { role: string; content: { type: string; text: string }[] }[] = [];
  for (let size = 0; size < bytes - 200; size += one.length + 60)
    messages.push({
      role: messages.length % 2 === 0 ? "user" : "assistant",
      content: [{ type: "text", text: one.slice(0, Math.max(20, bytes - size - 200)) }],
    });
  return Buffer.from(JSON.stringify({ ...head, messages }));
}

/** Microseconds from the first byte sent to the first byte of the answer's head; the answer is read to its end. */
function call(target: Target, body: Buffer, waitMs = 0): Promise<number> {
  const { prefix, ...where } = target;
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const made = request(
      {
        ...where,
        agent,
        method: "POST",
        path: `${prefix}/v1/messages`,
        headers: {
          host: "127.0.0.1",
          "content-type": "application/json",
          "content-length": body.length,
          "x-api-key": jobToken,
          ...(waitMs > 0 ? { "x-client-request-id": `wait-${waitMs}` } : {}),
        },
      },
      (response) => {
        const firstByte = (performance.now() - begin) * 1_000;
        if (response.statusCode !== 200)
          reject(new Error(`status ${response.statusCode} from ${JSON.stringify(where)}`));
        response.resume();
        response.on("end", () => resolve(firstByte));
        response.on("error", reject);
      },
    );
    made.on("error", reject);
    made.end(body);
  });
}

/** A sidecar as the driver starts it, outside of any namespace. */
async function startSidecar(folder: string, upstream: number, control: number): Promise<Part> {
  const price = {
    inputMicrosPerMTok: 3e6,
    outputMicrosPerMTok: 15e6,
    cacheReadMicrosPerMTok: 3e5,
    cacheWriteMicrosPerMTok: 3.75e6,
  };
  const boot = {
    ...{
      workspaceId: "w",
      attemptId: "a",
      jobId: "j",
      controlUrl: `http://127.0.0.1:${control}`,
      enrolmentToken: "t",
      jobToken,
    },
    phase: "agent",
    routes: [
      {
        ...{ provider: "anthropic", grantType: "ai.anthropic", api: "anthropic-messages", allowPrivate: true },
        ...{ baseUrl: `http://127.0.0.1:${upstream}`, auth: { kind: "header", name: "x-api-key", value: "key" } },
      },
    ],
    prices: { [`anthropic/${model}`]: { ...price, source: "bench", asOf: "2026-01-01" } },
    limits: { maxBodyBytes: 32e6, maxConcurrentCalls: 64, egressBytes: 1e9, maxTunnels: 10 },
    failClosedMs: 60_000,
  };
  return startPart([join(root, "packages/sidecar/src/main.ts"), "--sock", folder], { input: JSON.stringify(boot) });
}

/** Debian's nginx where it is installed. */
async function startNginx(folder: string, upstream: number): Promise<{ pid: number; stop(): Promise<void> } | null> {
  const program = ["/usr/sbin/nginx", "/usr/bin/nginx"].find((path) => existsSync(path));
  if (!program) return null;
  const temp = join(folder, "nginx");
  await mkdir(temp);
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${temp}/${name};`,
  );
  await writeFile(
    join(temp, "nginx.conf"),
    `daemon off; worker_processes 1; pid ${temp}/pid; error_log ${temp}/error.log;${process.getuid?.() === 0 ? " user root;" : ""}
events { worker_connections 256; }
http { access_log off; keepalive_requests 1000000; client_max_body_size 32m; client_body_buffer_size 1m; ${paths.join(" ")}
upstream model { server 127.0.0.1:${upstream}; keepalive 8; keepalive_requests 1000000; }
server { listen unix:${folder}/nginx.sock; location / { proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } } }`,
  );
  const child = spawn(program, ["-c", join(temp, "nginx.conf"), "-e", join(temp, "error.log")], { stdio: "ignore" });
  for (let tries = 0; tries < 100 && !existsSync(join(folder, "nginx.sock")); tries += 1) await pause(50);
  const worker = Number(
    execFileSync("cat", [`/proc/${child.pid}/task/${child.pid}/children`], { encoding: "utf8" })
      .trim()
      .split(" ")[0],
  );
  return {
    pid: worker,
    async stop() {
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      await gone;
    },
  };
}

export const bench: Bench = {
  about:
    "the sidecar's model proxy: grants, lease and metering on. limit: Debian's nginx where installed, peer: the shortest node:http proxy. Added = through it minus straight to the upstream.",
  async run({ quick, note }) {
    const folder = await mkdtemp(join(tmpdir(), "x1-bench-"));
    await chmod(folder, 0o700);
    const parts: { stop(): Promise<void> }[] = [];
    try {
      const upstream = await startPart([join(import.meta.dirname, "parts/upstream.ts")]);
      const control = await startPart([join(import.meta.dirname, "parts/control.ts")]);
      parts.push(upstream, control);
      const upstreamPort = Number(upstream.ready.port);
      const begin = performance.now();
      const sidecar = await startSidecar(folder, upstreamPort, Number(control.ready.port));
      const readyMs = performance.now() - begin;
      parts.push(sidecar);
      const bare = await startPart([
        join(import.meta.dirname, "parts/bare-proxy.ts"),
        join(folder, "bare.sock"),
        String(upstreamPort),
      ]);
      parts.push(bare);
      const nginx = await startNginx(folder, upstreamPort);
      if (nginx) parts.push(nginx);
      else note("nginx is not installed: no limit");

      const figures: Figure[] = [];
      const ours: Target = { socketPath: join(folder, "inference.sock"), prefix: "/anthropic" };
      const targets = {
        direct: { port: upstreamPort, prefix: "" } as Target,
        bare: { socketPath: join(folder, "bare.sock"), prefix: "" } as Target,
        ...(nginx ? { nginx: { socketPath: join(folder, "nginx.sock"), prefix: "" } as Target } : {}),
      };
      const first = await call(ours, bodyOf(2_000));
      const firstBare = await call(targets.bare, bodyOf(2_000));
      figures.push({ figure: "first request of a fresh process, 2 KB", unit: "us", ours: first, peer: firstBare });
      figures.push({ figure: "start to ready", unit: "ms", ours: readyMs });

      for (const [label, bytes, calls, waitMs] of [
        ["2 KB", 2_000, quick ? 50 : 1_000, 0],
        ["2 KB, a provider that takes 20 ms", 2_000, quick ? 5 : 40, 20],
        ["300 KB", 300_000, quick ? 10 : 200, 0],
      ] as const) {
        const body = bodyOf(bytes);
        const round = (target: Target, pid: number) => async () => {
          const cpu = cpuMicros(pid);
          const taken: number[] = [];
          for (let at = 0; at < calls; at += 1) taken.push(await call(target, body, waitMs));
          return { firstByte: median(taken), cpu: (cpuMicros(pid) - cpu) / calls };
        };
        const seen = await interleave<string>(quick ? 1 : 5, {
          direct: round(targets.direct, upstream.pid),
          ours: round(ours, sidecar.pid),
          bare: round(targets.bare, bare.pid),
          ...(nginx ? { nginx: round(targets.nginx as Target, nginx.pid) } : {}),
        });
        const added = (name: string) => (seen[name] ? seen[name].firstByte! - seen.direct!.firstByte! : null);
        const cpu = { ours: seen.ours!.cpu!, limit: seen.nginx?.cpu ?? null, peer: seen.bare!.cpu! };
        figures.push(
          {
            figure: `first byte added, ${label}`,
            unit: "us",
            ours: added("ours") ?? 0,
            limit: added("nginx"),
            peer: added("bare"),
          },
          // In steps of 10 ms it says nothing of a few calls.
          ...(waitMs === 0 ? [{ figure: `CPU per request, ${label}`, unit: "us", ...cpu }] : []),
        );
      }
      return figures;
    } finally {
      agent.destroy();
      for (const part of parts.reverse()) await part.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
};
