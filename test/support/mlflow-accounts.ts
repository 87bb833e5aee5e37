import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startMlflow } from "../testbed";
import type { MlflowOptions } from "../testbed/mlflow";

const ADMINISTRATOR = { name: "administrator", password: "a password of the administrator" };
const READER = { name: "reader", password: "a password of the reader" };

/** An MLflow with its own authentication, and in it an account that may nothing but what it is granted. */
export interface MlflowWithAccounts {
  /** With the administrator's name and password in it. */
  readonly administratorUri: string;
  /** With those of the account that has no rights. */
  readonly readerUri: string;
  grantReading: (resource: "experiment" | "registered_model", id: string) => Promise<void>;
  /** Grants the reader another permission. */
  grant: (resource: "registered_model", id: string, permission: "READ" | "EDIT" | "MANAGE") => Promise<void>;
  /** Gives the reader another password; the former one is refused from then on. */
  setReaderPassword: (password: string) => Promise<void>;
  /** Without a name or password. */
  readonly trackingUri: string;
  readonly reader: typeof READER;
  revokeReading: (resource: "experiment" | "registered_model", id: string) => Promise<void>;
  stop: () => Promise<void>;
}

/** Starts it, with a database of its own: `mlflow server --app-name basic-auth`. */
export async function startMlflowWithAccounts(options: MlflowOptions): Promise<MlflowWithAccounts> {
  const directory = mkdtempSync(join(tmpdir(), "mlflow-accounts-"));
  const configuration = join(directory, "auth.ini");
  const lines = {
    default_permission: "NO_PERMISSIONS",
    database_uri: `sqlite:///${join(directory, "accounts.db")}`,
    admin_username: ADMINISTRATOR.name,
    admin_password: ADMINISTRATOR.password,
    // Each call would check the password anew, which takes a second of a busy processor on purpose.
    auth_cache_ttl_seconds: "600",
    authorization_function: "mlflow.server.auth:authenticate_request_basic_auth",
  };
  const text = Object.entries(lines).map(([name, value]) => `${name} = ${value}\n`);
  writeFileSync(configuration, `[mlflow]\n${text.join("")}`);
  const server = await startMlflow({
    ...options,
    arguments: ["--app-name", "basic-auth"],
    environment: {
      MLFLOW_AUTH_CONFIG_PATH: configuration,
      MLFLOW_FLASK_SERVER_SECRET_KEY: "for the forms of its pages",
    },
  });
  const send = async (method: "POST" | "PATCH", path: string, body: object): Promise<void> => {
    const credentials = Buffer.from(`${ADMINISTRATOR.name}:${ADMINISTRATOR.password}`).toString("base64");
    const response = await fetch(`${server.trackingUri}/api/${path}`, {
      method,
      headers: { authorization: `Basic ${credentials}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${await response.text()}`);
  };
  await send("POST", "2.0/mlflow/users/create", { username: READER.name, password: READER.password });
  const change = (what: "grant" | "revoke", resource: string, id: string, permission?: string): Promise<void> =>
    send("POST", `3.0/mlflow/users/permissions/${what}`, {
      username: READER.name,
      resource_type: resource,
      resource_id: id,
      ...(permission === undefined ? {} : { permission }),
    });
  const uriOf = ({ name, password }: typeof READER): string =>
    server.trackingUri.replace("://", `://${name}:${encodeURIComponent(password)}@`);
  return {
    administratorUri: uriOf(ADMINISTRATOR),
    readerUri: uriOf(READER),
    grantReading: (resource, id) => change("grant", resource, id, "READ"),
    grant: (resource, id, permission) => change("grant", resource, id, permission),
    revokeReading: (resource, id) => change("revoke", resource, id),
    setReaderPassword: password =>
      send("PATCH", "2.0/mlflow/users/update-password", { username: READER.name, password }),
    trackingUri: server.trackingUri,
    reader: READER,
    async stop() {
      await server.part.stop();
      rmSync(directory, { recursive: true });
    },
  };
}
