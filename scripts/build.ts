// `npm run build`: what `pepr build` makes, in dist/, as a base for kustomize, and the size of the module that it puts into a
// Secret.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import packageJson from "../package.json";
import { completeChart } from "./chart/complete-chart";
import { writeKustomization } from "./generated-kustomization";

/** Bytes, gzipped. Kubernetes allows 1 MiB for the whole Secret; a module this small also starts fast. */
const MAXIMUM_BUNDLE_SIZE = 300 * 1024;

const { status } = spawnSync("npx", ["pepr", "build", "--output", "dist"], { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);
writeKustomization("dist");
completeChart("dist");

const bundle = `dist/pepr-${packageJson.pepr.uuid}.js`;
const size = gzipSync(readFileSync(bundle), { level: 9 }).length;
console.log(`${bundle}: ${(size / 1024).toFixed(1)} KiB gzipped (limit ${MAXIMUM_BUNDLE_SIZE / 1024} KiB)`);
if (size > MAXIMUM_BUNDLE_SIZE) {
  console.error("The bundle is too large: see the analysis above for what it holds, and make it smaller");
  process.exit(1);
}
