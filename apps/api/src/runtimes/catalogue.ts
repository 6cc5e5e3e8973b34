import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault, isSupportedContract, RuntimeManifest } from "@x1agent/contract";

/** One runtime of this checkout: its manifest and the folder it lives in. */
export type CatalogueEntry = { manifest: RuntimeManifest; runtimeDir: string };

/** Every runtime of the `runtimes/` folder, lowest rank first. There is no other list: a new folder is a new runtime. */
export async function loadCatalogue(runtimesDir: string): Promise<CatalogueEntry[]> {
  const folders = await readdir(runtimesDir, { withFileTypes: true });
  const entries: CatalogueEntry[] = [];
  for (const folder of folders) {
    const runtimeDir = join(runtimesDir, folder.name);
    const path = join(runtimeDir, "runtime.json");
    if (!folder.isDirectory() || !existsSync(path)) continue;
    const manifest = await readManifest(path);
    if (manifest.name !== folder.name)
      throw new Fault(
        "internal",
        `${path} names "${manifest.name}", but its folder is "${folder.name}": make them one.`,
      );
    entries.push({ manifest, runtimeDir });
  }
  return entries.sort((a, b) => a.manifest.rank - b.manifest.rank || a.manifest.name.localeCompare(b.manifest.name));
}

/** Reads a manifest and refuses, by code, one that is not valid or speaks another major of the contract. */
export async function readManifest(path: string): Promise<RuntimeManifest> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new Fault("internal", `${path} cannot be read as JSON: repair or remove the folder.`, { cause });
  }
  const version = (value as { contract?: unknown } | null)?.contract;
  if (typeof version === "string" && !isSupportedContract(version))
    throw new Fault("contract_unsupported", `${path} speaks contract ${version}: update the runtime or this service.`);
  const parsed = RuntimeManifest.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Fault("internal", `${path} is no valid manifest (${issue?.path.join(".")}: ${issue?.message}).`, {
    cause: parsed.error,
  });
}

/** Where an installed runtime lives in the data directory: one folder per exact version. */
export function installedDirectory(dataRuntimesDir: string, manifest: RuntimeManifest): string {
  return join(dataRuntimesDir, manifest.name, manifest.version);
}
