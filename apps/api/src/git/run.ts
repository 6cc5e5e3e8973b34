import { spawn } from "node:child_process";
import { createReadStream, createWriteStream } from "node:fs";
import { Fault } from "@x1agent/contract";
import type { GitCredential, Remote } from "./port.ts";
import { withSshKey } from "./ssh-agent.ts";

/**
 * The one place where the service itself starts git. The child's environment is built from nothing and its configuration
 * comes from here alone: no system, user or worktree file is read, and what a repository's own file could switch on
 * (hooks, monitors, filters, rewritten addresses) is overruled on top. Callers pass literal ids and addresses.
 */
export type GitRun = {
  /** Repository that git works in; without it git sees none. */
  gitDir?: string;
  args: readonly string[];
  stdin?: Buffer | string;
  stdinFile?: string;
  /** Standard output goes to this file instead of into memory, for packs. */
  stdoutFile?: string;
  maxOutputBytes?: number;
  timeoutMs?: number;
  /** Run as this user (only when the service is root). */
  uid?: number;
  gid?: number;
  /** Remote that the call speaks to: sets the allowed protocol, and the credential for its origin only. */
  remote?: Remote;
  credential?: GitCredential | undefined;
  /** Extra objects, e.g. the job repository's when working from a fresh one. */
  alternates?: string;
  signal?: AbortSignal | undefined;
};

export type GitResult = { code: number | null; stdout: Buffer; stderr: string; limit: "time" | "output" | null };

export type GitRunner = (run: GitRun) => Promise<GitResult>;

export type GitRunnerOptions = {
  /** Where git, ssh and setpriv are found. */
  path?: string;
  /** File with the host keys that SSH remotes may show; without it those of the system's `known_hosts`. */
  sshKnownHosts?: string;
  /** Private key for SSH remotes; without it those that `ssh` finds by itself. */
  sshKey?: string;
};

const megabyte = 1024 ** 2;
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Settings that hold for every git the service starts. Also the list that in-workspace commands use. */
export const safeSettings: readonly (readonly [string, string])[] = [
  ["advice.detachedHead", "false"],
  ["advice.graftFileDeprecated", "false"],
  ["core.hooksPath", "/dev/null"],
  ["core.fsmonitor", "false"],
  ["core.untrackedCache", "false"],
  ["core.attributesFile", "/dev/null"],
  ["core.excludesFile", "/dev/null"],
  ["core.pager", "cat"],
  ["core.alternateRefsCommand", "true"],
  ["core.packedGitWindowSize", "16m"],
  ["core.packedGitLimit", "256m"],
  ["core.bigFileThreshold", "16m"],
  ["credential.helper", ""],
  ["diff.external", ""],
  ["fetch.recurseSubmodules", "false"],
  ["submodule.recurse", "false"],
  ["gc.auto", "0"],
  ["maintenance.auto", "false"],
  ["receive.autogc", "false"],
  ["push.gpgSign", "false"],
  ["push.followTags", "false"],
  ["http.followRedirects", "false"],
  ["init.defaultBranch", "main"],
  ["pack.threads", "2"],
  ["protocol.allow", "never"],
];

const protocolOf = (remote: Remote) => (remote.kind === "local" ? "file" : remote.kind);

/** The `GIT_CONFIG_*` variables for a list of settings; they overrule every file and reach git's own children. */
export function settingsEnvironment(settings: readonly (readonly [string, string])[]): Record<string, string> {
  const env: Record<string, string> = { GIT_CONFIG_COUNT: String(settings.length) };
  for (const [index, [key, value]] of settings.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return env;
}

/** The whole environment of one call; nothing of the service's own gets in. */
export function gitEnvironment(
  run: GitRun,
  options: GitRunnerOptions = {},
  agentSocket?: string,
): Record<string, string> {
  const settings: (readonly [string, string])[] = [...safeSettings, ["safe.directory", "*"]];
  const env: Record<string, string> = {
    PATH: options.path ?? defaultPath,
    HOME: "/nonexistent",
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_GRAFT_FILE: "/dev/null",
    GIT_OPTIONAL_LOCKS: "0",
    GIT_NO_LAZY_FETCH: "1",
    GIT_ALLOW_PROTOCOL: run.remote ? protocolOf(run.remote) : "none",
  };
  if (run.gitDir) env.GIT_DIR = run.gitDir;
  if (run.alternates) env.GIT_ALTERNATE_OBJECT_DIRECTORIES = run.alternates;
  if (run.remote) {
    settings.push([`protocol.${protocolOf(run.remote)}.allow`, "always"]);
    if (run.credential?.authorization && (run.remote.kind === "https" || run.remote.kind === "http")) {
      // A header bound to the origin, in the child's environment only: arguments are world-readable, files stay behind.
      settings.push([`http.${originOf(run.remote)}.extraHeader`, `Authorization: ${run.credential.authorization}`]);
      // The forge vouches that it is the same repository: no redirect of the far end is followed.
      const { address } = run.credential;
      if (address?.startsWith(originOf(run.remote))) settings.push([`url.${address}.insteadOf`, run.remote.url]);
    }
    if (run.remote.kind === "ssh") {
      const ssh = ["ssh", "-F", "/dev/null", "-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oProxyCommand=none"];
      ssh.push("-oPermitLocalCommand=no", "-oForwardAgent=no", "-oClearAllForwardings=yes", "-oConnectTimeout=20");
      // ssh itself stands `~` for the home of the user that the service runs as.
      if (options.sshKnownHosts)
        ssh.push(shellQuote(`-oUserKnownHostsFile="${options.sshKnownHosts}" ~/.ssh/known_hosts`));
      if (agentSocket) {
        // A stored key is the only one that is shown: not one that this machine's user happens to have.
        ssh.push("-oIdentityFile=none", "-oIdentitiesOnly=no", shellQuote(`-oIdentityAgent=${agentSocket}`));
        ssh.push("-oPreferredAuthentications=publickey");
      } else if (options.sshKey) ssh.push("-oIdentitiesOnly=yes", "-i", shellQuote(options.sshKey));
      env.GIT_SSH_COMMAND = ssh.join(" ");
      env.GIT_SSH_VARIANT = "ssh";
    }
  }
  return { ...env, ...settingsEnvironment(settings) };
}

/** `https://host:port/`, the only place a credential goes. */
export function originOf(remote: Remote & { host: string; port: number }): string {
  const host = remote.host.includes(":") ? `[${remote.host}]` : remote.host;
  return `${remote.kind}://${host}:${remote.port}/`;
}

/** A word for `sh`. */
export const shellQuote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** Makes the runner. It resolves whatever git's exit code is; it rejects with a Fault only when git could not be started. */
export function createGitRunner(options: GitRunnerOptions = {}): GitRunner {
  return (run) =>
    run.remote?.kind === "ssh" && run.credential?.sshKey !== undefined
      ? withSshKey(run.credential.sshKey, options.path ?? defaultPath, (socket) => start(run, socket))
      : start(run);

  function start(run: GitRun, agentSocket?: string): Promise<GitResult> {
    return new Promise((resolve, reject) => {
      const max = run.maxOutputBytes ?? 16 * megabyte;
      const isRoot = process.getuid?.() === 0;
      const identity = isRoot && run.uid !== undefined ? { uid: run.uid, gid: run.gid ?? run.uid } : {};
      const child = spawn("git", ["--no-pager", ...run.args], {
        cwd: "/",
        env: gitEnvironment(run, options, agentSocket),
        stdio: ["pipe", "pipe", "pipe"],
        // A group of its own: git's helpers (ssh, upload-pack) end with it.
        detached: true,
        ...identity,
      });
      const file = run.stdoutFile ? createWriteStream(run.stdoutFile, { mode: 0o600 }) : null;
      // A full disk ends the call; the reason is told by the file's error.
      file?.on("error", (cause) => {
        kill();
        settle();
        reject(new Fault("internal", "git's output could not be written; is the disk full?", { cause }));
      });
      const chunks: Buffer[] = [];
      let size = 0;
      let stderr = "";
      let limit: GitResult["limit"] = null;
      const kill = () => {
        try {
          if (child.pid) process.kill(-child.pid, "SIGKILL");
        } catch {
          // Already gone.
        }
      };
      const timer = setTimeout(() => {
        limit = "time";
        kill();
      }, run.timeoutMs ?? 120_000);
      run.signal?.addEventListener("abort", kill, { once: true });
      if (run.signal?.aborted) kill();
      child.stdout.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > max) {
          limit = "output";
          kill();
        } else if (file) {
          if (!file.write(chunk)) {
            child.stdout.pause();
            file.once("drain", () => child.stdout.resume());
          }
        } else chunks.push(chunk);
      });
      child.stderr.on("data", (chunk: Buffer) => {
        stderr = (stderr + chunk.toString("utf8")).slice(-16_384);
      });
      // git may end before it has read its input; the exit code says what happened.
      child.stdin.on("error", () => {});
      if (run.stdinFile) {
        const input = createReadStream(run.stdinFile);
        input.on("error", () => child.stdin.end());
        input.pipe(child.stdin);
      } else child.stdin.end(run.stdin ?? "");
      const settle = () => {
        clearTimeout(timer);
        run.signal?.removeEventListener("abort", kill);
      };
      child.on("error", (cause) => {
        settle();
        reject(
          new Fault("unavailable", "git could not be started; install git and see that it is on the path.", { cause }),
        );
      });
      child.on("close", (code) => {
        settle();
        const finish = () => resolve({ code, stdout: Buffer.concat(chunks), stderr: stderr.trim(), limit });
        if (file) file.end(finish);
        else finish();
      });
    });
  }
}

/** Runs git and demands that it ends 0; anything else is a Fault that carries git's last words. */
export async function mustRun(git: GitRunner, run: GitRun): Promise<string> {
  const result = await git(run);
  if (result.code === 0 && !result.limit) return result.stdout.toString("utf8").trimEnd();
  const why = result.limit === "time" ? "took too long" : result.limit === "output" ? "said too much" : result.stderr;
  throw new Fault("internal", `git ${run.args[0]} failed: ${why.slice(-500)}`);
}
