import { fixedAccess } from "../../capabilities/mlflow/access";
import { createMlflowTransport } from "../../capabilities/mlflow/transport";
import type { MlflowTransport } from "../../capabilities/mlflow/transport";
import { startMlflowForTest } from "./webhook-modes";

/** MLflow as `--enable-workspaces` has it, with calls in a workspace of it: the default one, team-a or team-b. */
export interface MlflowWithWorkspaces {
  readonly trackingUri: string;
  readonly inWorkspace: (workspace?: string) => MlflowTransport;
}

/** Starts one until the end of the test. */
export async function startMlflowWithWorkspaces(): Promise<MlflowWithWorkspaces> {
  const { trackingUri } = await startMlflowForTest({ arguments: ["--enable-workspaces"] });
  for (const name of ["team-a", "team-b"]) {
    const response = await fetch(`${trackingUri}/api/3.0/mlflow/workspaces`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name }),
    });
    if (response.status !== 201)
      throw new Error(`The workspace was answered ${response.status}: ${await response.text()}`);
  }
  const inWorkspace = (workspace?: string): MlflowTransport =>
    createMlflowTransport({ trackingUri, access: fixedAccess({ workspace, tls: {} }), deadline: 30_000 });
  return { trackingUri, inWorkspace };
}
