import { describe, expect, it } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import { thrownBy } from "../../test/support/unit/outcomes";
import { gatherVariables } from "./cluster-variables";
import { readConfiguration } from "./configuration";
import { KubernetesError } from "../kubernetes/api-server";
import type { ApiServer } from "../kubernetes/api-server";

/** An API server that has these objects' data, by path below the namespace. */
function serving(objects: Readonly<Record<string, Readonly<Record<string, string>> | number>>): ApiServer {
  return ({ path }) => {
    const found = objects[path.replace("/api/v1/namespaces/pepr-system/", "")] ?? 404;
    if (typeof found !== "number") return Promise.resolve({ status: 200, body: { data: found } });
    return Promise.reject(new KubernetesError(found, "Reason", `${path} was answered ${found}`));
  };
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("gatherVariables", () => {
  it("prefers the environment, then the ConfigMap and the Secret", async () => {
    const { log } = recordingLog();
    const apiServer = serving({
      "configmaps/mlflow-kserve-config": { MLFLOW_KSERVE_APP_PORT: "1", MLFLOW_KSERVE_LOG_LEVEL: "DEBUG" },
      "secrets/mlflow-webhook-secret": { secret: base64("from the cluster\n") },
    });
    const environment = { MLFLOW_KSERVE_APP_PORT: "2", MLFLOW_KSERVE_LOG_LEVEL: "" };

    const { variables, readSecret } = await gatherVariables(environment, apiServer, "pepr-system", log);

    expect(variables).toMatchObject({
      MLFLOW_KSERVE_APP_PORT: "2",
      MLFLOW_KSERVE_LOG_LEVEL: "DEBUG",
      MLFLOW_KSERVE_MLFLOW_WEBHOOK_SECRET: "from the cluster",
    });
    expect(await readSecret?.()).toBe("from the cluster");
  });

  it("leaves the Secret alone when the environment has one", async () => {
    const { log } = recordingLog();
    const environment = { MLFLOW_KSERVE_MLFLOW_WEBHOOK_SECRET: "given" };
    const { variables, readSecret } = await gatherVariables(environment, serving({}), "pepr-system", log);
    expect(variables.MLFLOW_KSERVE_MLFLOW_WEBHOOK_SECRET).toBe("given");
    expect(readSecret).toBeUndefined();
  });

  it("takes a template from a ConfigMap's name/key, and leaves paths as they are", async () => {
    const { log } = recordingLog();
    const template = async (setting: string): Promise<string | undefined> => {
      const apiServer = serving({ "configmaps/templates": { "big.yaml": "kind: InferenceService" } });
      const environment = { MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE: setting };
      const { variables } = await gatherVariables(environment, apiServer, "pepr-system", log);
      return variables.MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE;
    };
    expect(await template("templates/big.yaml")).toBe("kind: InferenceService\n");
    expect(await template("templates/inference-service.yaml.txt")).toBe("templates/inference-service.yaml.txt");
    expect(await template("/etc/template.yaml")).toBe("/etc/template.yaml");
  });

  it.each([
    [
      "templates/missing",
      "names the key missing of the ConfigMap pepr-system/templates, which has only a.yaml, b.yaml;",
    ],
    ["empty/a.yaml", "names the key a.yaml of the ConfigMap pepr-system/empty, which has no keys; add the key"],
    ["nothing/a.yaml", "names the ConfigMap pepr-system/nothing, which does not exist or may not be read"],
    ["forbidden/a.yaml", "create the ConfigMap with the key a.yaml, or correct the setting"],
  ])(
    "says that the ConfigMap or key of the template %s is missing, beside what else is wrong",
    async (value, message) => {
      const { log } = recordingLog();
      const apiServer = serving({
        "configmaps/templates": { "b.yaml": "x", "a.yaml": "x" },
        ...{ "configmaps/empty": {}, "configmaps/forbidden": 403 },
      });
      const environment = { MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE: value, MLFLOW_KSERVE_APP_PORT: "3000" };
      const { variables, problems } = await gatherVariables(environment, apiServer, "pepr-system", log);
      expect(problems).toEqual([
        {
          name: "MLFLOW_KSERVE_INFERENCE_SERVICE_TEMPLATE",
          value,
          message: expect.stringContaining(message) as string,
        },
      ]);
      const said = thrownBy(() => readConfiguration(variables, problems)).message;
      expect(said.match(/INFERENCE_SERVICE_TEMPLATE/g)).toHaveLength(1);
      expect(said).toContain('MLFLOW_KSERVE_APP_PORT="3000"');
    },
  );

  it("takes an empty value in the ConfigMap for none, so that it hides neither the Secret nor a default", async () => {
    const { log } = recordingLog();
    const apiServer = serving({
      "configmaps/mlflow-kserve-config": { MLFLOW_KSERVE_MLFLOW_WEBHOOK_SECRET: "", MLFLOW_KSERVE_LOG_LEVEL: "" },
      "secrets/mlflow-webhook-secret": { secret: base64("from the Secret") },
    });
    const { variables, readSecret } = await gatherVariables({}, apiServer, "pepr-system", log);
    expect(variables.MLFLOW_KSERVE_MLFLOW_WEBHOOK_SECRET).toBe("from the Secret");
    expect(variables).not.toHaveProperty("MLFLOW_KSERVE_LOG_LEVEL");
    expect(readSecret).toBeDefined();
  });

  it("goes on without what it may not read, and says so", async () => {
    const { log, lines } = recordingLog();
    const apiServer = serving({ "configmaps/mlflow-kserve-config": 403, "secrets/mlflow-webhook-secret": 403 });
    await expect(gatherVariables({}, apiServer, "pepr-system", log)).resolves.toBeDefined();
    expect(lines.map(({ message }) => message)).toEqual([
      "The configmaps pepr-system/mlflow-kserve-config may not be read",
      "The secrets pepr-system/mlflow-webhook-secret may not be read",
    ]);
  });

  it("does not start on half of the settings when the API server fails", async () => {
    const { log } = recordingLog();
    const apiServer = serving({ "configmaps/mlflow-kserve-config": 500 });
    await expect(gatherVariables({}, apiServer, "pepr-system", log)).rejects.toThrow("answered 500");
  });
});
