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
