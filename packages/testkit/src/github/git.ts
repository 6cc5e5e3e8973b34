import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Who wrote a commit, and when (ISO 8601). */
export type Signature = { name: string; email: string; date: string };
export type Commit = {
  sha: string;
  tree: string;
  parents: string[];
  author: Signature;
  committer: Signature;
  message: string;
};
export type FileChange = {
  filename: string;
  previous?: string;
  status: "added" | "removed" | "modified" | "renamed";
  additions: number;
  deletions: number;
  /** Id of the blob after the change, before it for a removed file. */
  sha: string;
  /** Hunks without the file header; absent for binary files. */
  patch?: string;
};
/** What a merge needs: either its tree or the conflicting paths. */
export type MergeResult = { tree: string } | { conflicts: string[] };

const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
/** Object id of a ref that is not there. */
export const zero = "0".repeat(40);
/** A branch, tag or other ref that moved; `zero` where it was not there before, or is not after. */
export type RefChange = { ref: string; before: string; after: string };

/** Environment of every git of the stand-in: nothing of the machine's or the user's configuration. */
export const gitEnvironment: Record<string, string> = {
  PATH: process.env.PATH ?? "/usr/bin:/bin",
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
  GIT_CONFIG_COUNT: "1",
  GIT_CONFIG_KEY_0: "safe.directory",
  GIT_CONFIG_VALUE_0: "*",
};

export class GitError extends Error {}

/** Server-side hook: refuses the refs that the stand-in named, the way GitHub words it. */
const updateHook = `#!/bin/sh
tab=$(printf '\\t')
IFS='
'
for row in $STANDIN_DECLINED; do
  case "$row" in "$1$tab"*) printf '%s\\n' "\${row#*$tab}" | tr '\\037' '\\n' >&2; exit 1 ;; esac
done
for row in $STANDIN_NO_FORCE; do
  if [ "$row" = "$1" ] && [ "$2" != ${zero} ] && [ "$3" != ${zero} ] && ! git merge-base --is-ancestor "$2" "$3"; then
    printf 'error: GH006: Protected branch update failed for %s.\\nerror: Cannot force-push to this branch\\n' "$1" >&2
    exit 1
  fi
done
if [ -n "$STANDIN_NO_WORKFLOWS" ] && [ "$3" != ${zero} ]; then
  from=$2
  [ "$from" = ${zero} ] && from=$(git merge-base HEAD "$3" 2>/dev/null || git hash-object -t tree /dev/null)
  file=$(git diff --no-renames --name-only --diff-filter=AM "$from" "$3" -- .github/workflows | head -n 1)
  if [ -n "$file" ]; then
    printf '%s\\t%s\\n' "$1" "refusing to allow $STANDIN_NO_WORKFLOWS to create or update workflow \\\`$file\\\` without \\\`workflows\\\` permission" >> "$STANDIN_REASONS"
    exit 1
  fi
fi
# Pointer files among what is new, to content that was not uploaded: only blobs of a pointer's size are read.
[ "$3" = ${zero} ] && exit 0
nl='
'
unknown=
for row in $(git rev-list --objects --no-object-names "$3" --not --all | git cat-file --batch-check='%(objecttype) %(objectsize) %(objectname)'); do
  case "$row" in 'blob 1'??' '*) ;; *) continue ;; esac
  text=$(git cat-file blob "\${row##* }")
  case "$text" in 'version https://git-lfs.github.com/spec/v1'"$nl"'oid sha256:'*) ;; *) continue ;; esac
  oid=\${text#*oid sha256:}
  oid=\${oid%%"$nl"*}
  case "$nl$STANDIN_LFS$nl" in *"$nl$oid$nl"*) ;; *) unknown="$unknown    $oid$nl" ;; esac
done
if [ -n "$unknown" ]; then
  count=$(printf %s "$unknown" | wc -l)
  s=s; [ "$count" = 1 ] && s=
  printf "error: GH008: Your push referenced at least %d unknown Git LFS object%s:\n%sTry to push them with 'git lfs push --all'.\n" "$count" "$s" "$unknown" >&2
  printf '%s\t%s\n' "$1" 'pre-receive hook declined' >> "$STANDIN_REASONS"
  exit 1
fi
exit 0
`;

type Options = { input?: string | Buffer; env?: Record<string, string>; okay?: readonly number[] };

/** One bare repository on disk. Every method is one or a few real git commands. */
export class GitRepository {
  readonly path: string;
  constructor(path: string) {
    this.path = path;
  }

  /** Makes an empty bare repository with the configuration that GitHub's show from outside. */
  static async create(path: string, defaultBranch: string): Promise<GitRepository> {
    const repository = new GitRepository(path);
    await run(["init", "-q", "--bare", "--template=", `--initial-branch=${defaultBranch}`, path], {});
    for (const [key, value] of [
      ["http.receivepack", "true"],
      ["uploadpack.allowFilter", "true"],
      ["uploadpack.allowAnySHA1InWant", "true"],
      ["receive.hideRefs", "refs/pull"],
      ["receive.fsckObjects", "true"],
      ["core.logAllRefUpdates", "false"],
      ["gc.auto", "0"],
      ["receive.autogc", "false"],
      ["core.hooksPath", join(path, "hooks")],
    ] as const)
      await repository.git(["config", key, value]);
    await mkdir(join(path, "hooks"), { recursive: true });
    await writeFile(join(path, "hooks/update"), updateHook, { mode: 0o755 });
    return repository;
  }

  /** Runs git here and gives its standard output. */
  async git(args: readonly string[], options: Options = {}): Promise<string> {
    return (await run(["-C", this.path, ...args], options)).stdout;
  }

  /** Commit, tree or blob id of a revision; undefined when there is none. */
  async resolve(revision: string, kind = "commit"): Promise<string | undefined> {
    const { stdout, code } = await run(
      ["-C", this.path, "rev-parse", "-q", "--verify", "--end-of-options", `${revision}^{${kind}}`],
      { okay: [0, 1, 128] },
    );
    return code === 0 ? stdout.trim() : undefined;
  }

  branch(name: string): Promise<string | undefined> {
    return this.resolve(`refs/heads/${name}`);
  }

  /** Every ref below a prefix (`refs/heads/`), as full name to object id. */
  async refs(prefix = "refs/"): Promise<Map<string, string>> {
    const out = await this.git(["for-each-ref", "--format=%(refname) %(objectname)", prefix]);
    return new Map(
      out
        .split("\n")
        .filter(Boolean)
        .map((line) => line.split(" ", 2) as [string, string]),
    );
  }

  async updateRef(ref: string, sha: string, before?: string): Promise<void> {
    await this.git(["update-ref", "--end-of-options", ref, sha, ...(before === undefined ? [] : [before])]);
  }

  async deleteRef(ref: string): Promise<void> {
    await this.git(["update-ref", "-d", ref]);
  }

  async isAncestor(older: string, newer: string): Promise<boolean> {
    const { code } = await run(["-C", this.path, "merge-base", "--is-ancestor", older, newer], { okay: [0, 1, 128] });
    return code === 0;
  }

  async mergeBase(a: string, b: string): Promise<string | undefined> {
    const { stdout, code } = await run(["-C", this.path, "merge-base", a, b], { okay: [0, 1, 128] });
    return code === 0 ? stdout.trim() : undefined;
  }

  /** Commits of a range (`a..b`) or a revision, newest first. */
  async log(range: string, options: { limit?: number; skip?: number; path?: string } = {}): Promise<Commit[]> {
    const format = "%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%aI%x1f%cn%x1f%ce%x1f%cI%x1f%B%x1e";
    const out = await this.git([
      "log",
      `--format=${format}`,
      ...(options.limit === undefined ? [] : [`--max-count=${options.limit}`]),
      ...(options.skip === undefined ? [] : [`--skip=${options.skip}`]),
      "--end-of-options",
      range,
      "--",
      ...(options.path ? [options.path] : []),
    ]);
    return out
      .split("\x1e")
      .map((entry) => entry.replace(/^\n/, ""))
      .filter(Boolean)
      .map((entry) => {
        const part = entry.split("\x1f");
        const at = (index: number) => part[index] ?? "";
        const date = (index: number) => `${new Date(at(index)).toISOString().slice(0, 19)}Z`;
        return {
          sha: at(0),
          tree: at(1),
          parents: at(2).split(" ").filter(Boolean),
          author: { name: at(3), email: at(4), date: date(5) },
          committer: { name: at(6), email: at(7), date: date(8) },
          message: at(9).replace(/\n+$/, ""),
        };
      });
  }

  async commit(sha: string): Promise<Commit> {
    const [commit] = await this.log(sha, { limit: 1 });
    if (!commit) throw new GitError(`no commit ${sha}`);
    return commit;
  }

  /** Addresses of all who authored a commit reachable from a revision. */
  async authors(revision: string): Promise<Set<string>> {
    return new Set((await this.git(["log", "--format=%ae", "--end-of-options", revision])).split("\n").filter(Boolean));
  }

  async count(range: string): Promise<number> {
    return Number(await this.git(["rev-list", "--count", "--end-of-options", range]));
  }

  /** The files that differ between two commits, with their hunks. An absent `from` means an empty tree. */
  async diff(from: string | undefined, to: string): Promise<FileChange[]> {
    const pair = [from ?? emptyTree, to];
    const fixed = ["--no-ext-diff", "--no-textconv", "-M", "--end-of-options"];
    const raw = (await this.git(["diff-tree", "-r", "-z", "--full-index", ...fixed, ...pair])).split("\0");
    const numbers = (await this.git(["diff-tree", "-r", "-z", "--numstat", ...fixed, ...pair])).split("\0");
    const changes: FileChange[] = [];
    for (let index = 0; raw[index]; ) {
      const [, , before = "", after = "", letter = "M"] = raw[index++]!.split(" ");
      const first = raw[index++] ?? "";
      const renamed = letter.startsWith("R") || letter.startsWith("C");
      const second = renamed ? (raw[index++] ?? "") : first;
      const status = letter.startsWith("A")
        ? "added"
        : letter.startsWith("D")
          ? "removed"
          : renamed
            ? "renamed"
            : "modified";
      changes.push({
        filename: second,
        ...(renamed ? { previous: first } : {}),
        status,
        additions: 0,
        deletions: 0,
        sha: status === "removed" ? before : after,
      });
    }
    for (let index = 0, at = 0; numbers[index]; at++) {
      const [added = "0", deleted = "0", name = ""] = numbers[index++]!.split("\t");
      if (!name) index += 2;
      const change = changes[at];
      if (!change) continue;
      change.additions = added === "-" ? 0 : Number(added);
      change.deletions = deleted === "-" ? 0 : Number(deleted);
    }
    const patch = await this.git(["diff-tree", "-r", "-p", "--full-index", ...fixed, ...pair]);
    for (const [at, section] of patch
      .split(/^diff --git /m)
      .slice(1)
      .entries()) {
      const hunk = section.indexOf("\n@@ ");
      const change = changes[at];
      if (change && hunk >= 0) change.patch = section.slice(hunk + 1).replace(/\n$/, "");
    }
    return changes;
  }

  /** Where a line of a file (from 1) lies in a later commit; undefined when it was changed or taken out. */
  async lineAfter(from: string, to: string, path: string, line: number): Promise<number | undefined> {
    const options = ["--no-ext-diff", "--no-textconv", "-U0", "--end-of-options", from, to, "--", path];
    const patch = await this.git(["--literal-pathspecs", "diff-tree", "-r", "-p", ...options]);
    let moved = line;
    for (const [, start = "0", size = "1", , added = "1"] of patch.matchAll(
      /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/gm,
    )) {
      const [first, count] = [Number(start), Number(size)];
      // A hunk that only adds names the line it comes after.
      if (count > 0 && line >= first && line < first + count) return undefined;
      if (line > first) moved += Number(added) - count;
    }
    return /^deleted file mode/m.test(patch) ? undefined : moved;
  }

  /** The whole difference as text, as a `.diff` address gives it. */
  patchText(from: string, to: string): Promise<string> {
    return this.git(["diff", "--no-ext-diff", "--no-textconv", "-M", "--end-of-options", `${from}...${to}`]);
  }

  async commitTree(input: {
    tree: string;
    parents: readonly string[];
    message: string;
    author: Signature;
    committer?: Signature;
  }): Promise<string> {
    const committer = input.committer ?? input.author;
    const out = await this.git(
      ["commit-tree", input.tree, ...input.parents.flatMap((parent) => ["-p", parent]), "-F", "-"],
      {
        input: input.message.endsWith("\n") ? input.message : `${input.message}\n`,
        env: {
          GIT_AUTHOR_NAME: input.author.name,
          GIT_AUTHOR_EMAIL: input.author.email,
          GIT_AUTHOR_DATE: input.author.date,
          GIT_COMMITTER_NAME: committer.name,
          GIT_COMMITTER_EMAIL: committer.email,
          GIT_COMMITTER_DATE: committer.date,
        },
      },
    );
    return out.trim();
  }

  /** Tree of a true merge of two commits, or where they conflict. Leaves no trace. */
  async mergeTree(ours: string, theirs: string): Promise<MergeResult> {
    const { stdout, code } = await run(
      ["-C", this.path, "merge-tree", "--write-tree", "--name-only", "--no-messages", ours, theirs],
      { okay: [0, 1] },
    );
    const [tree = "", ...rest] = stdout.split("\n");
    return code === 0 ? { tree } : { conflicts: [...new Set(rest.filter(Boolean))] };
  }

  /** Replays a branch's commits on a base with the real `git rebase`; gives the new head, or undefined on a conflict. */
  async rebase(head: string, base: string, committer: Signature): Promise<string | undefined> {
    const directory = await mkdtemp(join(tmpdir(), "x1-standin-rebase-"));
    try {
      await this.git(["worktree", "add", "-q", "--detach", join(directory, "tree"), head]);
      const env = {
        GIT_COMMITTER_NAME: committer.name,
        GIT_COMMITTER_EMAIL: committer.email,
        GIT_COMMITTER_DATE: committer.date,
      };
      const { code } = await run(
        ["-C", join(directory, "tree"), "-c", "core.hooksPath=/dev/null", "rebase", "-q", "--force-rebase", base],
        { okay: [0, 1], env },
      );
      if (code !== 0) return undefined;
      return (await run(["-C", join(directory, "tree"), "rev-parse", "HEAD"], {})).stdout.trim();
    } finally {
      await rm(directory, { recursive: true, force: true });
      await this.git(["worktree", "prune"]);
    }
  }

  /** Blob id of a text. */
  async writeBlob(content: string | Buffer): Promise<string> {
    return (await this.git(["hash-object", "-w", "--stdin"], { input: content })).trim();
  }

  async readBlob(sha: string): Promise<Buffer> {
    return (await run(["-C", this.path, "cat-file", "blob", sha], {})).bytes;
  }

  async listTree(
    tree: string,
    recursive = false,
  ): Promise<{ mode: string; type: string; sha: string; size: number | undefined; path: string }[]> {
    const out = await this.git(["ls-tree", "-z", "-l", ...(recursive ? ["-r", "-t"] : []), "--end-of-options", tree]);
    return out
      .split("\0")
      .filter(Boolean)
      .map((line) => {
        const tab = line.indexOf("\t");
        const [mode = "", type = "", sha = "", size = "-"] = line.slice(0, tab).split(/ +/);
        return { mode, type, sha, size: size === "-" ? undefined : Number(size), path: line.slice(tab + 1) };
      });
  }

  /** What lies at a path of a commit; undefined when nothing does. */
  async entry(
    commit: string,
    path: string,
  ): Promise<{ type: string; sha: string; size: number | undefined } | undefined> {
    const out = await this.git(["--literal-pathspecs", "ls-tree", "-z", "-l", "--end-of-options", commit, "--", path]);
    const line = out.split("\0")[0] ?? "";
    const [, type = "", sha = "", size = "-"] = line.slice(0, line.indexOf("\t")).split(/ +/);
    return type ? { type, sha, size: size === "-" ? undefined : Number(size) } : undefined;
  }

  /** A new tree: `base` with paths set to texts (or to blobs by id), and with those that are null taken out. */
  async writeTree(
    base: string | undefined,
    changes: Readonly<Record<string, string | Buffer | null | { mode: string; sha: string }>>,
  ): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), "x1-standin-index-"));
    const env = { GIT_INDEX_FILE: join(directory, "index") };
    try {
      await this.git(base ? ["read-tree", base] : ["read-tree", "--empty"], { env });
      let rows = "";
      for (const [path, content] of Object.entries(changes)) {
        if (content === null) rows += `0 ${zero}\t${path}\n`;
        else if (typeof content === "string" || Buffer.isBuffer(content))
          rows += `100644 ${await this.writeBlob(content)}\t${path}\n`;
        else rows += `${content.mode} ${content.sha}\t${path}\n`;
      }
      await this.git(["update-index", "--add", "--index-info"], { env, input: rows });
      return (await this.git(["write-tree"], { env })).trim();
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** Brings a commit and all it needs over from another repository of the stand-in. */
  async take(from: GitRepository, sha: string, ref: string): Promise<void> {
    await this.git(["fetch", "-q", "--no-tags", "--no-write-fetch-head", from.path, `+${sha}:${ref}`], {
      env: { GIT_ALLOW_PROTOCOL: "file" },
    });
  }
}

function run(args: readonly string[], options: Options): Promise<{ stdout: string; bytes: Buffer; code: number }> {
  return new Promise((resolve, reject) => {
    const child = spawn("git", args, { env: { ...gitEnvironment, ...options.env }, stdio: ["pipe", "pipe", "pipe"] });
    const out: Buffer[] = [];
    let errors = "";
    child.stdout.on("data", (part: Buffer) => out.push(part));
    child.stderr.on("data", (part: Buffer) => {
      if (errors.length < 8192) errors += part.toString();
    });
    child.on("error", reject);
    child.on("close", (status) => {
      const code = status ?? 255;
      const bytes = Buffer.concat(out);
      if ((options.okay ?? [0]).includes(code)) resolve({ stdout: bytes.toString(), bytes, code });
      else reject(new GitError(`git ${args.slice(0, 6).join(" ")} ended with ${code}: ${errors.trim()}`));
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
  });
}
