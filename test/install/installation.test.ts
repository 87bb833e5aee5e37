import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { completeInstallation } from "../../capabilities/kubernetes/installation";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import { kubeConfigFrom } from "../support/kube-config";
import { installServiceAccount } from "../support/service-account";
import type { InstalledServiceAccount } from "../support/service-account";
import { generatedManifests } from "../support/service-account-manifests";
import { recordingLog } from "../support/unit/recording-log";
import type { RecordedLine } from "../support/unit/recording-log";
import { waitFor } from "../support/waiting";
import { createNamespace, testKubectl } from "../testbed/namespaces";

const TARGET = "kserve-mlflow-models";
const SERVICE = "mlflow-kserve-webhook-listener";

/** With the rights that Pepr's manifests give, on the real API server. */
describe("completeInstallation", () => {
  const kubectl = testKubectl();
  let account: InstalledServiceAccount;
  let namespace: string;

  const complete = async (targetNamespace = TARGET, port = 8000): Promise<readonly RecordedLine[]> => {
    const { log, lines } = recordingLog();
    const apiServer = connectToApiServer(15_000, kubeConfigFrom(account.kubeconfig));
    await completeInstallation({ apiServer, log, namespace, targetNamespace, endpoint: { port, isHttps: false } });
    return lines.filter(({ level }) => level !== "debug");
  };
  const service = async (path: string): Promise<string> =>
    await kubectl(["get", "service", SERVICE, "-n", namespace, `--output=jsonpath=${path}`]);
  const messages = (lines: readonly RecordedLine[]): unknown[] =>
    lines.map(({ fields, message }) => [fields.object, message]);

  beforeAll(async () => {
    namespace = await createNamespace("installed");
    account = await installServiceAccount(await generatedManifests(), {
      kubectl,
      administrator: inject("kubeconfig"),
      directory: inject("logDirectory"),
    });
    // The API server learns of new roles a moment after they were made.
    const right = ["auth", "can-i", "create", `namespaces/${TARGET}`, "--as", account.username];
    await waitFor("the rights", async () => (await kubectl(right)) === "yes" || undefined);
  }, 600_000);

  afterAll(() => account.remove());

  it("makes the Service and the namespace with these rights, and is content after that", async () => {
    await kubectl(["delete", "namespace", TARGET, "--ignore-not-found"]);
    const lines = await complete();
    expect(messages(lines).sort()).toEqual([
      [`Namespace ${TARGET}`, "Made, it was missing"],
      [`Service ${namespace}/${SERVICE}`, "Made, it was missing"],
    ]);
    const version = await service("{.metadata.resourceVersion}");
    expect(await complete()).toEqual([]);
    expect(await service("{.metadata.resourceVersion}")).toBe(version);
  });

  it("brings its Service up to date", async () => {
    const lines = await complete(TARGET, 9000);
    expect(messages(lines)).toEqual([[`Service ${namespace}/${SERVICE}`, "Brought up to date"]]);
    expect(await service("{.spec.ports[*].targetPort}")).toBe("9000 8443");
  });

  it("leaves a Service that others made", async () => {
    await kubectl(["delete", "service", SERVICE, "-n", namespace]);
    await kubectl(["create", "service", "clusterip", SERVICE, "-n", namespace, "--tcp=80:1234"]);
    expect(await complete()).toEqual([]);
    expect(await service("{.spec.ports[*].targetPort}")).toBe("1234");
  });

  it("says what to do when it has no right to make another namespace", async () => {
    const lines = await complete("elsewhere");
    expect(lines).toMatchObject([
      {
        level: "warn",
        fields: {
          object: "Namespace elsewhere",
          cause: expect.stringContaining("cannot get resource") as unknown,
          cure: "kubectl create namespace elsewhere",
        },
      },
    ]);
  });
});
