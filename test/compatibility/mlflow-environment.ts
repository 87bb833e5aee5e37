import { join } from "node:path";
import { cached, cacheKey } from "../testbed/cache";
import { run } from "../testbed/commands";
import { mlflowEnvironment } from "../testbed/mlflow";
import { freePort } from "../testbed/ports";
import { checkPrerequisites } from "../testbed/prerequisites";
import { answersOk } from "../testbed/probe";
import { cleanEnvironment } from "../testbed/processes";
import { Run } from "../testbed/run";

/** Releases of MLflow from PyPI, one of each kind: without webhooks, their first release, and some until the newest. */
export const MLFLOW_RELEASES: readonly string[] = ["2.22.5", "3.2.0", "3.3.2", "3.8.1", "3.12.0", "3.17.2"];

/** What old releases allow and do not work with: a pool of SQLAlchemy that 2.1 has not, and pkg_resources of setuptools. */
const CONTEMPORARIES: readonly string[] = ["sqlalchemy<2.1", "setuptools<81"];

/** A server that answers. */
export interface RunningMlflow {
  readonly trackingUri: string;
  readonly logFile: string;
  readonly stop: () => Promise<void>;
}

/**
 * Makes a virtual environment with a release of MLflow and what pip gives it on that day, or finds it in the cache.
 *
 * @returns its interpreter
 * @throws Error when pip cannot install it on this Python
 */
export async function mlflowRelease(release: string, progress: (message: string) => void): Promise<string> {
  const { python: base } = await checkPrerequisites({ go: false, kubectl: false });
  const key = cacheKey(base.identity, release, ...CONTEMPORARIES);
  const directory = await cached(
    `mlflow-${release}`,
    key,
    async target => {
      progress(`installing MLflow ${release}`);
      const environment = cleanEnvironment();
      await run(base.command, ["-m", "venv", target], { environment });
      const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
      await run(join(target, "bin", "python"), [...pip, `mlflow==${release}`, ...CONTEMPORARIES], { environment });
    },
    progress,
  );
  return join(directory, "bin", "python");
}

/** Starts the server of a release as its own documentation does, with the variables that it needs to deliver here. */
export async function startRelease(python: string, logDirectory: string, release: string): Promise<RunningMlflow> {
  const own = new Run(() => undefined, logDirectory);
  const port = await freePort();
  const trackingUri = `http://127.0.0.1:${port}`;
  const logName = `mlflow-${release}`;
  try {
    await own.start({
      name: "mlflow",
      command: python,
      arguments: [
        ...["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(port), "--workers", "1"],
        ...["--backend-store-uri", `sqlite:///${join(own.directory, "mlflow.db")}`],
        ...["--artifacts-destination", join(own.directory, "artifacts")],
      ],
      environment: { ...mlflowEnvironment(), PATH: `${join(python, "..")}:${process.env.PATH ?? ""}` },
      directory: own.directory,
      logName,
      isReady: () => answersOk(`${trackingUri}/health`),
      readyWithinSeconds: 240,
    });
  } catch (error) {
    await own.stop();
    throw error;
  }
  return { trackingUri, logFile: join(logDirectory, `${logName}.log`), stop: () => own.stop() };
}
