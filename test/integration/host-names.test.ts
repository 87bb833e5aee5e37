import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, it, onTestFinished } from "vitest";
import { startListener, uniqueModel } from "../support/listener-fixture";
import { openRegistry } from "../support/mlflow-registry";
import { leadToLoopback } from "../support/resolved-names";
import { waitFor } from "../support/waiting";
import { startMlflow } from "../testbed";
import type { MlflowServer } from "../testbed";
import { freePort } from "../testbed/ports";

// The name of the Service in the documentation's examples.
const NAME = "mlflow.mlflow.svc";

/** Milliseconds for two starts of MLflow on a busy machine. */
const STARTS = 240_000;

interface Health {
  readonly mode: string;
  readonly cause?: string;
}

it(
  "names what MLflow's default host policy refuses, and works once MLflow is told what we said",
  async () => {
    leadToLoopback(NAME);
    const directory = mkdtempSync(join(tmpdir(), "host-names-"));
    const port = await freePort();
    const trackingUri = `http://${NAME}:${port}`;
    const start = async (allowedHosts: string): Promise<MlflowServer> => {
      const server = await startMlflow({
        ...{ python: inject("python"), logDirectory: inject("logDirectory"), workers: 1 },
        ...{ port, database: join(directory, "mlflow.db") },
        // Empty is MLflow's default: localhost and private addresses.
        environment: { MLFLOW_SERVER_ALLOWED_HOSTS: allowedHosts },
      });
      onTestFinished(() => server.part.stop());
      return server;
    };
    onTestFinished(() => {
      rmSync(directory, { recursive: true });
    });
    const refusing = await start("");
    const endpointPort = await freePort();
    const { url, logged, deployed, deliver } = await startListener({
      mlflowTrackingUri: trackingUri,
      settings: {
        APP_PORT: String(endpointPort),
        MLFLOW_WEBHOOK_URL: `http://127.0.0.1:${endpointPort}/webhook`,
        WEBHOOK_STARTUP_TIMEOUT: "1",
        WEBHOOK_STARTUP_RETRIES: "0",
      },
    });
    const healthWhere = (isSo: (health: Health) => boolean): Promise<Health> =>
      waitFor("the state of the webhook in /health", async () => {
        const health = (await (await fetch(`${url}/health`)).json()) as Health;
        return isSo(health) ? health : undefined;
      });

    const { cause = "" } = await healthWhere(health => health.mode === "fallback" && health.cause !== undefined);
    expect(cause).toContain(`add ${NAME}:${port} to MLFLOW_SERVER_ALLOWED_HOSTS on the MLflow server`);
    expect(cause).not.toMatch(/USERNAME|PASSWORD|administrator/);
    expect(logged.some(({ level, fields }) => level === "warn" && fields.cause === cause)).toBe(true);
    const { status, body } = await deliver({ model: "refused", version: "1" });
    expect(status).toBe(502);
    expect(JSON.stringify(body)).toContain("MLFLOW_SERVER_ALLOWED_HOSTS");

    await refusing.part.stop();
    const [, allowed = ""] = /add (\S+) to MLFLOW_SERVER_ALLOWED_HOSTS/.exec(cause) ?? [];
    await start(allowed);

    await healthWhere(({ mode }) => mode === "webhook");
    const registry = openRegistry(trackingUri);
    const key = await registry.register(uniqueModel("named"), "s3://models/x");
    await registry.setTag(key, "deploy", "true");
    await waitFor("the service", async () => ((await deployed()).length === 1 ? true : undefined));
  },
  STARTS,
);
