import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault } from "@x1agent/contract";

/** Whether a stored secret is a private key for SSH and not a password or token. */
export const isPrivateKey = (secret: string): boolean =>
  /^\s*-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*-----END [A-Z ]*PRIVATE KEY-----\s*$/.test(secret);

/**
 * Runs `work` with an agent of its own that holds one key. The key goes over a pipe from memory to memory: it is in no
 * file, argument or environment. The agent ends with the work. Faults when the key cannot be used or OpenSSH is absent.
 */
export async function withSshKey<T>(key: string, path: string, work: (socket: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "x1-ssh-"));
  const socket = join(folder, "agent");
  const env = { PATH: path, HOME: "/nonexistent", LC_ALL: "C" };
  const agent = spawn("ssh-agent", ["-D", "-a", socket], { env, stdio: "ignore", detached: true });
  let failed: unknown = null;
  let gone = false;
  agent.once("error", (cause) => {
    failed = cause;
  });
  agent.once("close", () => {
    gone = true;
  });
  try {
    for (let tries = 0; !existsSync(socket); tries += 1) {
      if (failed || gone || tries > 500)
        throw new Fault("unavailable", "ssh-agent could not be started; install OpenSSH's client.", { cause: failed });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const add = spawn("ssh-add", ["-q", "-"], {
      env: { ...env, SSH_AUTH_SOCK: socket, SSH_ASKPASS_REQUIRE: "never" },
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    const code = await new Promise<number | null>((resolve) => {
      const timer = setTimeout(() => add.kill("SIGKILL"), 20_000);
      const end = (value: number | null) => {
        clearTimeout(timer);
        resolve(value);
      };
      add.once("error", () => end(null));
      add.once("close", end);
      add.stdin.on("error", () => {});
      // OpenSSH wants the last line ended, and no carriage returns.
      add.stdin.end(`${key.replaceAll("\r", "").trim()}\n`);
    });
    if (code !== 0)
      throw new Fault(
        "unavailable",
        "The stored SSH key cannot be used: store an unencrypted private key with `x1 secrets set git:<host>`.",
      );
    return await work(socket);
  } finally {
    agent.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  }
}
