import { describe } from "vitest";
import { gitOpsSuite } from "./gitops-suite";
import { helmSuite } from "./helm-suite";
import { useInstallationCluster } from "./installation-cluster";
import { kustomizeSuite } from "./kustomize-suite";

// One cluster for all: each leaves it without the module.
describe("in a cluster", () => {
  const theCluster = useInstallationCluster();

  describe("kustomize", () => {
    kustomizeSuite(theCluster);
  });

  describe("the Helm chart", () => {
    helmSuite(theCluster);
  });

  describe("rendered for GitOps", () => {
    gitOpsSuite(theCluster);
  });
});
