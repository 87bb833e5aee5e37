import { join } from "node:path";
import { goBinaries } from "./go-binaries";

/** Builds Helm, or finds it in the cache. @returns its path */
export async function helmProgram(progress: (message: string) => void): Promise<string> {
  const programs = [{ packagePath: "helm.sh/helm/v4/cmd/helm", binary: "helm" }];
  return join(await goBinaries({ module: "helm", programs }, progress), "helm");
}
