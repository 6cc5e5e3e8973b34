import { execFile } from "node:child_process";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Folder of the sample project, as shipped. */
export const sampleDirectory = join(import.meta.dirname, "../sample");
/** The sample's verify command. */
export const sampleVerify = "node --test";

/** Text of one of the sample's issues, 1 to 3: usable as a goal. */
export function sampleIssue(number: 1 | 2 | 3): Promise<string> {
  return readFile(join(sampleDirectory, "issues", `${number}.md`), "utf8");
}

/** Author, committer and date of made-up commits: the same commit id every time. */
const person = { name: "Sample Author", email: "sample@example.invalid", date: "2026-01-01T00:00:00Z" };

/** Git with nothing of the user's or the machine's configuration. */
async function git(directory: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(
    "git",
    ["-C", directory, "-c", "core.autocrlf=false", "-c", "commit.gpgsign=false", "-c", "safe.directory=*", ...args],
    {
      env: {
        PATH: process.env.PATH,
        HOME: "/nonexistent",
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_AUTHOR_NAME: person.name,
        GIT_AUTHOR_EMAIL: person.email,
        GIT_AUTHOR_DATE: person.date,
        GIT_COMMITTER_NAME: person.name,
        GIT_COMMITTER_EMAIL: person.email,
        GIT_COMMITTER_DATE: person.date,
      },
    },
  );
  return stdout.trim();
}

/** Makes a git repository with one commit on `main` out of files (path to text); returns its directory and the commit. */
export async function createRepository(
  directory: string,
  files: Readonly<Record<string, string>>,
  message = "First version",
): Promise<{ directory: string; commit: string }> {
  await mkdir(directory, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text, { mode: 0o644 });
  }
  await git(directory, "init", "-q", "--template=", "--initial-branch=main");
  await git(directory, "add", "-A", "--force");
  await git(directory, "commit", "-q", "-m", message);
  return { directory, commit: await git(directory, "rev-parse", "HEAD") };
}

/** Makes the sample project's repository: branch `main`, one commit, always the same id for the same files. */
export async function createSampleRepository(directory: string): Promise<{ directory: string; commit: string }> {
  await mkdir(directory, { recursive: true });
  await cp(sampleDirectory, directory, { recursive: true });
  return createRepository(directory, {}, "tally 1.2.0");
}
