import { writeFileSync } from "node:fs";
import path from "node:path";
import packageJson from "../package.json";

/** Makes the folder that `pepr build` wrote its manifests to a base for kustomize: k8s/base builds on it. */
export function writeKustomization(directory: string): void {
  const kustomization = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - pepr-module-${packageJson.pepr.uuid}.yaml
`;
  writeFileSync(path.join(directory, "kustomization.yaml"), kustomization);
}
