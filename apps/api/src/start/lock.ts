import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { Fault } from "@x1agent/contract";

/**
 * One owner per data directory: the embedded database and `run/` have one process at a time. The lock is a bound
 * abstract socket named by the folder's device and inode, so the kernel lets go of it the moment its process ends, even
 * by SIGKILL, and a folder reached by two paths is one folder. The pid in the file is for people.
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  const { dev, ino } = await stat(dataDir, { bigint: true });
  const runDir = join(dataDir, "run");
  const pidFile = join(runDir, "pid");
  await mkdir(runDir, { recursive: true, mode: 0o755 });
  // Whoever connects learns nothing and is let go.
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", async (cause: NodeJS.ErrnoException) => {
      if (cause.code !== "EADDRINUSE") return reject(cause);
      const pid = (await readFile(pidFile, "utf8").catch(() => "")).trim() || "unknown";
      reject(
        new Fault(
          "conflict",
          `${dataDir} is used by the service with pid ${pid}: end that one, or choose another --data.`,
          { cause },
        ),
      );
    });
    server.listen(`\0x1agent-${dev}-${ino}`, resolve);
  });
  server.unref();
  await writeFile(pidFile, `${process.pid}\n`);
  return () => new Promise((resolve) => server.close(() => resolve()));
}
