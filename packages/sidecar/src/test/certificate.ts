import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
/** Why certificates cannot be made here, or null. */
export const lacksOpenssl = spawnSync("openssl", ["version"]).error ? "openssl" : null;

/** A certificate for a name, and the authority that signed it; a day long. */
export async function certificate(name: string): Promise<{ key: string; cert: string; ca: string }> {
  const dir = await mkdtemp(join(tmpdir(), "x1-ca-"));
  const openssl = (...argv: string[]) => run("openssl", argv, { cwd: dir });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  try {
    await openssl(
      "req",
      "-x509",
      ...key,
      "-subj",
      "/CN=test authority",
      "-days",
      "1",
      "-keyout",
      "ca.key",
      "-out",
      "ca.pem",
    );
    await openssl("req", ...key, "-subj", `/CN=${name}`, "-keyout", "key.pem", "-out", "leaf.csr");
    await writeFile(join(dir, "ext"), `subjectAltName=DNS:${name}\n`);
    const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext", "-days", "1"];
    await openssl("x509", "-req", "-in", "leaf.csr", ...signed, "-out", "leaf.pem");
    const [held, cert, ca] = await Promise.all(
      ["key.pem", "leaf.pem", "ca.pem"].map((file) => readFile(join(dir, file), "utf8")),
    );
    return { key: held ?? "", cert: cert ?? "", ca: ca ?? "" };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
