import { defineConfig } from "vitest/config";

const here = (pattern: string) => [
  `packages/**/${pattern}`,
  `drivers/**/${pattern}`,
  `forges/**/${pattern}`,
  `images/**/${pattern}`,
  `runtimes/**/${pattern}`,
  `apps/**/${pattern}`,
  `scripts/**/${pattern}`,
];
/** What is waited for in the life of a service has one second by default, which a busy machine takes for a page to load. */
const patient = { poll: { timeout: 30_000 } };
const exclude = ["**/node_modules/**", "**/sample/**", ".demo/**"];

/** `*.test.ts` is unit (no process but ours), `*.int.test.ts` starts real servers and namespaces, `*.e2e.test.ts` takes the whole way. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: [...here("*.test.ts"), "*.test.ts"],
          exclude: [...exclude, "**/*.int.test.ts", "**/*.e2e.test.ts"],
          expect: patient,
          testTimeout: 60_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "integration",
          include: here("*.int.test.ts"),
          exclude,
          expect: patient,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // By default one less than the machine has cores, and a machine of two would have one idle half of the time.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "e2e",
          include: here("*.e2e.test.ts"),
          exclude,
          expect: patient,
          testTimeout: 300_000,
          hookTimeout: 120_000,
          // Whole services wait more than they work: two files at once, and no more, so that time limits stay true.
          maxWorkers: 2,
        },
      },
    ],
  },
});
