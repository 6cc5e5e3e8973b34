import { tmpdir } from "node:os";
import { Doctor } from "@x1agent/contract";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type DoctorDeps, examine } from "./doctor.ts";

afterEach(() => vi.useRealTimers());
const report = { level: "namespaces" as const, mechanism: "m", facts: [] };
const deps = (change: Partial<DoctorDeps> = {}): DoctorDeps => ({
  driver: { probe: async () => ({ report, checks: [{ name: "namespaces", ok: true, detail: "yes", fix: null }] }) },
  runtimes: { list: async () => [] },
  dataDir: tmpdir(),
  blobsDir: "/nonexistent/blobs",
  pingDatabase: async () => undefined,
  ...change,
});
const check = (doctor: Doctor, name: string) => doctor.checks.find((entry) => entry.name === name);

describe("the doctor", () => {
  it("gathers what the service and the driver see", async () => {
    const doctor = Doctor.parse(await examine(deps()));
    expect(doctor.checks.map(({ name }) => name)).toEqual([
      "node",
      "git",
      "database",
      "data directory",
      "blob store",
      "runtimes",
      "namespaces",
    ]);
    expect(check(doctor, "runtimes")).toMatchObject({ ok: false });
    expect(doctor.ok).toBe(false);
    expect(doctor.isolation).toEqual(report);
  });

  it("is not well without isolation, and says the command that helps", async () => {
    const fix = "sysctl kernel.unprivileged_userns_clone=1";
    const doctor = await examine(
      deps({
        driver: {
          probe: async () => ({ report: null, checks: [{ name: "namespaces", ok: false, detail: "off", fix }] }),
        },
      }),
    );
    expect([doctor.ok, doctor.isolation, check(doctor, "namespaces")?.fix]).toEqual([false, null, fix]);
  });

  it("tells what broke, and waits for nobody for ever", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const examined = examine(
      deps({
        driver: { probe: () => new Promise(() => undefined) },
        pingDatabase: () => Promise.reject(new Error("gone")),
      }),
    );
    await vi.advanceTimersByTimeAsync(6_000);
    const doctor = await examined;
    expect(check(doctor, "database")).toMatchObject({ ok: false, detail: "gone" });
    expect(check(doctor, "isolation")).toMatchObject({ ok: false, detail: expect.stringContaining("within 5 s") });
  });
});
