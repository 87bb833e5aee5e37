import { readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";
import { makePageAssets } from "./scripts/page-assets.mjs";

makePageAssets();

export default defineConfig({
  plugins: [
    {
      // The bundle imports templates as text (esbuild's loader for .txt); the tests do the same.
      name: "text-import",
      enforce: "pre",
      load: (id: string) => (id.endsWith(".txt") ? `export default ${JSON.stringify(readFileSync(id, "utf8"))}` : null),
    },
  ],
  test: {
    // One for each processor: most of what they do is waiting for other processes.
    maxWorkers: 2,
    // What is waited for comes late on a busy machine.
    expect: { poll: { timeout: 20_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          // Properties are tried hundreds of times, also on a machine that has other work.
          testTimeout: 60_000,
          include: [
            "capabilities/**/*.test.ts",
            "scripts/**/*.test.ts",
            "page/**/*.test.ts",
            "test/{testbed,support,demo}/**/*.test.ts",
          ],
        },
      },
      {
        // The status page in a real browser; of the systems it needs none.
        extends: true,
        test: {
          name: "browser",
          include: ["test/browser/**/*.test.ts"],
          // Only a test that fails takes so long, also the first one, for which the browser is unpacked.
          testTimeout: 180_000,
          hookTimeout: 240_000,
        },
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: [
            "test/{integration,e2e,fuzz,monitoring,install,convergence,faults,load,bench,compatibility}/**/*.test.ts",
          ],
          globalSetup: ["test/testbed/vitest-setup.ts", "test/faults/table-setup.ts"],
          setupFiles: ["test/testbed/end-with-vitest.ts"],
          // Only a test that fails takes so long: a busy machine starts a server in a minute.
          testTimeout: 180_000,
          hookTimeout: 240_000,
        },
      },
    ],
  },
});
