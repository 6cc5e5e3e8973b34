import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { Fault } from "@x1agent/contract";

const run = promisify(execFile);

/** Whether a backup of this name is one file: by its ending. */
export const isTarName = (name: string): boolean => name.endsWith(".tar");

/** Writes a folder's content as one tar file. */
export async function pack(folder: string, file: string): Promise<void> {
  // Made beforehand, so that nobody else can read it at any time.
  await writeFile(file, "", { mode: 0o600, flag: "wx" });
  await tar(["--create", `--file=${file}`, `--directory=${folder}`, "--owner=0", "--group=0", "."], file);
}

/** Lays a tar file out in a folder. */
export async function unpack(file: string, folder: string): Promise<void> {
  await tar(["--extract", `--file=${file}`, `--directory=${folder}`, "--no-same-owner", "--no-same-permissions"], file);
}

async function tar(args: string[], file: string): Promise<void> {
  try {
    await run("tar", ["--force-local", ...args], {
      maxBuffer: 1_048_576,
      env: { PATH: process.env.PATH, LC_ALL: "C" },
    });
  } catch (cause) {
    const { code, stderr } = cause as { code?: string | number; stderr?: string };
    throw new Fault(
      "unavailable",
      code === "ENOENT"
        ? "There is no `tar` on this machine: install it, or back up to a folder."
        : `tar failed on ${file}: ${stderr?.trim().split("\n")[0] ?? code}`,
      { cause },
    );
  }
}
