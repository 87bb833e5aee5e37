import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { cached, cacheKey, contentsOf } from "./cache";
import { run } from "./commands";
import { findProgram } from "./path-lookup";
import { cleanEnvironment } from "./processes";

const PACKAGE = resolve("node_modules/@sparticuz/chromium");

// It unpacks into the temporary folder, and its libraries only where it believes that it is in AWS Lambda.
const UNPACK = `
const { default: chromium } = await import("@sparticuz/chromium");
await chromium.executablePath();
`;

/** A browser for Playwright. */
export interface Browser {
  readonly executablePath: string;
  /** Variables that it needs. */
  readonly environment: Readonly<Record<string, string>>;
}

/** The browsers that do instead, where npm's package has none for the machine. */
export const OTHER_BROWSERS = ["chromium", "chromium-browser", "google-chrome"] as const;

/** Whether npm's package has a Chromium for this machine. */
export function chromiumIsPackaged(): boolean {
  return process.platform === "linux" && process.arch === "x64";
}

/**
 * Unpacks the Chromium of npm's package, with the libraries and fonts that it needs, or finds it in the cache.
 * @throws Error when neither the package nor the PATH has one for this machine
 */
export async function chromiumBrowser(progress: (message: string) => void = () => undefined): Promise<Browser> {
  if (!chromiumIsPackaged()) {
    const executablePath = findProgram(...OTHER_BROWSERS);
    if (executablePath === undefined) throw new Error("There is no Chromium on the PATH: install it.");
    return { executablePath, environment: {} };
  }
  const key = cacheKey("1", ...contentsOf(join(PACKAGE, "package.json")));
  const directory = await cached("chromium", key, unpack, progress);
  return {
    executablePath: join(directory, "chromium"),
    environment: {
      LD_LIBRARY_PATH: join(directory, "al2023", "lib"),
      FONTCONFIG_FILE: join(directory, "fonts.conf"),
    },
  };
}

async function unpack(directory: string): Promise<void> {
  await run(process.execPath, ["--input-type=module", "--eval", UNPACK], {
    directory: resolve("."),
    environment: { ...cleanEnvironment(), TMPDIR: directory, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs22.x" },
  });
  // The one in the package looks for the fonts below /tmp.
  writeFileSync(
    join(directory, "fonts.conf"),
    `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${join(directory, "fonts")}</dir>
  <cachedir>${join(directory, "fonts-cache")}</cachedir>
</fontconfig>
`,
  );
}
