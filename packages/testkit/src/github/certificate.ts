import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A made-up authority and a certificate of it for loopback and these names, a day long, by `openssl` (PEM each). */
export async function loopbackCertificate(
  names: readonly string[] = [],
): Promise<{ key: string; cert: string; ca: string }> {
  const directory = await mkdtemp(join(tmpdir(), "x1-standin-ca-"));
  const openssl = (...argv: string[]) => run("openssl", argv, { cwd: directory });
  const fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  try {
    const authority = ["-x509", ...fresh, "-subj", "/CN=stand-in authority", "-days", "1"];
    await openssl("req", ...authority, "-keyout", "ca.key", "-out", "ca.pem");
    await openssl("req", ...fresh, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "leaf.csr");
    await writeFile(
      join(directory, "ext"),
      `subjectAltName=${["localhost", ...names].map((name) => `DNS:${name}`).join(",")},IP:127.0.0.1\n`,
    );
    const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext", "-days", "1"];
    await openssl("x509", "-req", "-in", "leaf.csr", ...signed, "-out", "leaf.pem");
    const read = (file: string) => readFile(join(directory, file), "utf8");
    return { key: await read("key.pem"), cert: await read("leaf.pem"), ca: await read("ca.pem") };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
