import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";

/** The terminal of the tests: util-linux's own, which every Debian has. */
export const hasTerminal = existsSync("/usr/bin/script");

/** Runs a command in a pseudo-terminal; what is typed goes in as keys, what it shows comes out as text. */
export function inTerminal(argv: readonly string[], env: Record<string, string>) {
  const quoted = argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const child = spawn("/usr/bin/script", ["-qefc", quoted, "/dev/null"], {
    env: { ...env, TERM: "xterm", SHELL: "/bin/sh" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  let shown = "";
  child.stdout.setEncoding("utf8").on("data", (chunk) => {
    shown += chunk;
  });
  child.stdin.on("error", () => undefined);
  const exit = once(child, "exit") as Promise<[number | null]>;
  return {
    type: (keys: string) => child.stdin.write(keys),
    get shown() {
      return shown;
    },
    /** Waits until the terminal shows this, after what was shown before `from`. */
    async shows(what: string | RegExp, from = 0, ms = 60_000): Promise<number> {
      for (const end = Date.now() + ms; Date.now() < end; ) {
        const text = shown.slice(from);
        if (typeof what === "string" ? text.includes(what) : what.test(text)) return shown.length;
        await new Promise((resolve) => setTimeout(resolve, 30));
      }
      throw new Error(`The terminal never showed ${what}. It shows:\n${shown.slice(-3_000)}`);
    },
    async ended(): Promise<number | null> {
      const guard = setTimeout(() => child.kill("SIGKILL"), 60_000);
      const [code] = await exit;
      clearTimeout(guard);
      return code;
    },
    kill: () => child.kill("SIGKILL"),
  };
}
