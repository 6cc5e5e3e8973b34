import { spawnSync } from "node:child_process";
import { fstatSync, openSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sparesFor } from "../drivers.ts";
import {
  prepareDataDir,
  readMasterKey,
  readTokenFile,
  removeServiceFile,
  takeMasterKey,
  writeServiceFile,
  writeTokenFile,
} from "./files.ts";
import { DEFAULT_PORT, jobLink, parseStartOptions } from "./options.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "x1-start-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));
const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

describe("options", () => {
  const user = { uid: 1000, home: "/home/u" };
  it("have defaults for a user and for root", () => {
    expect(parseStartOptions([], {}, user)).toMatchObject({
      dataDir: "/home/u/.x1agent",
      port: DEFAULT_PORT,
      host: "127.0.0.1",
      blobsDir: "/home/u/.x1agent/blobs",
      masterKeyFile: "/home/u/.config/x1agent/master.key",
    });
    expect(parseStartOptions([], {}, { uid: 0, home: "/root" })).toMatchObject({
      dataDir: "/var/lib/x1agent",
      masterKeyFile: "/etc/x1agent/master.key",
    });
  });
  it("take the master key from a file, a descriptor or a variable", () => {
    const from = (text: string) => parseStartOptions(["--master-key", text], {}, user).masterKeyFrom;
    expect([from("/k"), from("fd:3"), from("env:X_KEY")]).toEqual([null, { fd: 3 }, { env: "X_KEY" }]);
  });
  it("take how many sidecars are started ahead; by default the machine's memory says it", () => {
    const from = (...argv: string[]) => parseStartOptions(argv, {}, user).spareSidecars;
    expect([from(), from("--spare-sidecars", "0"), from("--spare-sidecars", "2")]).toEqual([undefined, 0, 2]);
    expect([4 * 1024 ** 3 - 1, 4 * 1024 ** 3].map(sparesFor)).toEqual([0, 1]);
  });
  it("take a public address, or take it away", () => {
    const from = (...argv: string[]) => parseStartOptions(argv, {}, user).publicUrl;
    expect([from(), from("--public-url", "none")]).toEqual([undefined, null]);
    expect(from("--public-url", "https://X1.example.com:8443/")).toBe("https://x1.example.com:8443");
  });
  it("lead to a job by the public address, and never by one of this machine", () => {
    expect(jobLink(null, "http://127.0.0.1:4380", "j")).toBeNull();
    expect(jobLink(null, "http://[::]:4380", "j")).toBeNull();
    expect(jobLink(null, "http://x1.lan:4380", "j")).toBe("http://x1.lan:4380/jobs/j");
    expect(jobLink("https://x1.example.com", "http://127.0.0.1:4380", "j")).toBe("https://x1.example.com/jobs/j");
  });
  it("take the argument before the environment", () => {
    expect(parseStartOptions(["--data", "/a"], { X1_DATA: "/b" }, user).dataDir).toBe("/a");
    expect(parseStartOptions([], { X1_DATA: "/b" }, user).dataDir).toBe("/b");
  });
  it.each([
    [["--port", "70000"], /--port/],
    [["--nope"], /--nope/],
    [["--public-url", "x1.example.com"], /--public-url/],
    [["--public-url", "https://a:b@x1.example.com"], /--public-url/],
    [["--public-url", "https://x1.example.com/path"], /--public-url/],
    [["--public-url", "file:///etc"], /--public-url/],
    [["--master-key", "fd:1"], /fd:<3 to 9>/],
    [["--spare-sidecars", "3"], /0, 1 or 2/],
    [["--spare-sidecars", ""], /0, 1 or 2/],
    [["--master-key", "env:A=B"], /env:<name/],
    [["--data", "/d", "--master-key", "/d/master.key"], /master key/],
  ])("refuse %j with a sentence", (argv, sentence) =>
    expect(() => parseStartOptions(argv, {}, user)).toThrow(sentence),
  );
});

describe("the end of the process", () => {
  const ran = (held: string) => {
    const end = JSON.stringify(join(import.meta.dirname, "end.ts"));
    const text = `const { endWithin } = await import(${end}); process.exitCode = 3; ${held}; endWithin(200).unref();`;
    return spawnSync(process.execPath, ["--input-type=module", "--eval", text], { encoding: "utf8", timeout: 60_000 });
  };
  it("comes with its code, and with a sentence where something would hold it for good", () => {
    const held = ran("(await import('node:net')).createServer().listen(0, '127.0.0.1')");
    expect(held).toMatchObject({ status: 3, stderr: expect.stringContaining("TCPServerWrap") });
    expect(ran("")).toMatchObject({ status: 3, stderr: "" });
  });
});

describe("files of the service", () => {
  it("are private", async () => {
    const dataDir = join(root, "data");
    await prepareDataDir(dataDir);
    await writeTokenFile(dataDir, "tkn");
    await writeServiceFile(dataDir, { url: "http://127.0.0.1:1", pid: process.pid });
    expect([
      await modeOf(dataDir),
      await modeOf(join(dataDir, "token")),
      await modeOf(join(dataDir, "service.json")),
    ]).toEqual([0o700, 0o600, 0o600]);
    expect(await readTokenFile(dataDir)).toBe("tkn");
  });

  it("leave another process's address alone", async () => {
    await writeServiceFile(root, { url: "u", pid: 1 });
    await removeServiceFile(root);
    expect(await readFile(join(root, "service.json"), "utf8")).toContain('"pid":1}');
    await writeServiceFile(root, { url: "u", pid: process.pid });
    await removeServiceFile(root);
    await expect(stat(join(root, "service.json"))).rejects.toThrow();
  });

  it("hold one master key, also when several start at once", async () => {
    const file = join(root, "config/x1agent/master.key");
    const keys = await Promise.all([readMasterKey(file), readMasterKey(file), readMasterKey(file)]);
    expect(new Set(keys.map((key) => key.toString("hex"))).size).toBe(1);
    expect(await modeOf(file)).toBe(0o600);
  });

  it("take the master key from a variable or a descriptor, once", async () => {
    const key = Buffer.alloc(32, 7).toString("base64");
    const env = { KEY: key, OTHER: "stays" };
    expect(takeMasterKey({ env: "KEY" }, env).toString("base64")).toBe(key);
    expect(env).toEqual({ OTHER: "stays" });
    expect(() => takeMasterKey({ env: "KEY" }, env)).toThrow(/no master key/);

    await writeFile(join(root, "key"), `${key}\n`);
    const fd = openSync(join(root, "key"), "r");
    expect(takeMasterKey({ fd }, {}).toString("base64")).toBe(key);
    expect(() => fstatSync(fd)).toThrow(/EBADF/);
  });

  it("refuse a master key that others can read or that is none", async () => {
    const file = join(root, "master.key");
    await writeFile(file, "short", { mode: 0o600 });
    await expect(readMasterKey(file)).rejects.toThrow(/holds no master key/);
    await rm(file);
    await readMasterKey(file);
    await chmod(file, 0o644);
    await expect(readMasterKey(file)).rejects.toThrow(/chmod 600/);
  });
});
