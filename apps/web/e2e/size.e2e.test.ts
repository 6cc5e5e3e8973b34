import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";

const web = join(import.meta.dirname, "..");
/** What a first visit may load before it shows the frame: script and style, compressed. */
const LIMIT = 250 * 1_024;

it("loads its shell in under 250 KB, and every screen with its own page only", () => {
  expect(spawnSync(process.execPath, [join(web, "build.ts")], { stdio: "inherit" }).status).toBe(0);
  const dist = join(web, "dist");
  const html = readFileSync(join(dist, "index.html"), "utf8");
  const first = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+\.(?:js|css))"/g)].map(([, path]) => path ?? "");
  expect(first.length).toBeGreaterThanOrEqual(2);
  const sizes = first.map((path) => gzipSync(readFileSync(join(dist, path))).length);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(LIMIT);
  // The chart library comes with the page that has a chart.
  const entry = first
    .filter((path) => path.endsWith(".js"))
    .map((path) => readFileSync(join(dist, path), "utf8"))
    .join("");
  expect(entry).not.toContain("recharts-wrapper");
  // And the terminal with the output that somebody plays.
  expect(entry).not.toContain("windowsPty");
  expect(readdirSync(join(dist, "assets")).filter((name) => name.endsWith(".js")).length).toBeGreaterThan(8);
  // Nothing from elsewhere, nothing inline: the page's policy would stop it.
  expect(html).not.toMatch(/https?:\/\/(?!www\.w3\.org)/);
  expect(html).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\son\w+=/);
});
