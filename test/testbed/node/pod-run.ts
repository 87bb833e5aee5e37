import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ContainerRun } from "./container-run";
import { environmentOf } from "./environment";
import type { ReadKey } from "./environment";
import type { Container, Pod } from "./pod";
import { NOT_STARTED } from "./pod-status";
import type { ContainerRecord } from "./pod-status";
import { readinessOf } from "./probes";
import { CannotRunError, mountsOf, onThisMachine, programOf } from "./programs";
import type { Installed } from "./programs";

/** What a pod finds on the node. */
export interface PodSurroundings {
  readonly installed: Installed;
  readonly readKey: ReadKey;
  /** Address of the pod as the cluster knows it. */
  readonly podAddress: string;
  /** Address on which its processes listen: each pod has one of its own, as each has a network of its own in a cluster. */
  readonly loopbackAddress: string;
  /** The folder for its volumes and homes, removed at its end. */
  readonly directory: string;
  /** The folder for its logs, which stay. */
  readonly logDirectory: string;
  /** Called whenever the records have changed. */
  readonly onChange: () => void;
}

/** Runs the containers of one pod as processes: its init containers one after the other, then the others. */
export class PodRun {
  readonly #runs = new Map<string, ContainerRun>();
  #records = new Map<string, ContainerRecord>();
  #stopped = false;

  constructor(
    readonly pod: Pod,
    private readonly surroundings: PodSurroundings,
  ) {}

  /** What is known of each container, by its name. */
  get records(): ReadonlyMap<string, ContainerRecord> {
    return new Map([...this.#records, ...[...this.#runs].map(([name, run]) => [name, run.record] as const)]);
  }

  /** Runs the pod until it is stopped. What it cannot run stays waiting, and says why. */
  async run(): Promise<void> {
    const { initContainers = [], containers } = this.pod.spec;
    const all = [...initContainers, ...containers];
    try {
      for (const container of all) this.#runs.set(container.name, await this.#prepare(container));
    } catch (error) {
      if (!(error instanceof CannotRunError)) throw error;
      this.#runs.clear();
      const record: ContainerRecord = {
        ...NOT_STARTED,
        state: { kind: "waiting", reason: error.reason, message: error.message },
      };
      this.#records = new Map(all.map(({ name }) => [name, record]));
      this.surroundings.onChange();
      return;
    }
    for (const { name } of initContainers) {
      if (!(await this.#runs.get(name)?.runOnce())) return;
    }
    if (this.#stopped) return;
    await Promise.all(containers.map(async ({ name }) => this.#runs.get(name)?.runAlways()));
  }

  /** Ends its processes and removes its volumes. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const grace = this.pod.metadata.deletionGracePeriodSeconds ?? 30;
    await Promise.all([...this.#runs.values()].map(run => run.stop(grace)));
    rmSync(this.surroundings.directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  async #prepare(container: Container): Promise<ContainerRun> {
    const { directory, logDirectory, installed, readKey, podAddress, loopbackAddress, onChange } = this.surroundings;
    const { namespace, name: podName } = this.pod.metadata;
    const program = programOf(container, installed);
    const mounts = mountsOf(container, this.pod, directory);
    const home = join(directory, "home", container.name);
    for (const folder of [home, ...mounts.values()]) mkdirSync(folder, { recursive: true });
    const own = await environmentOf(container, this.pod, podAddress, readKey);
    const environment = Object.entries({ ...program.environment, ...own }).map(
      ([name, value]) => [name, onThisMachine(value, mounts)] as const,
    );
    const ask = readinessOf(container, loopbackAddress);
    mkdirSync(logDirectory, { recursive: true });
    return new ContainerRun(
      container.name,
      {
        command: program.command,
        arguments: program.arguments.map(argument => onThisMachine(argument, mounts)),
        environment: {
          PATH: `${installed.pythonPrograms}:/usr/local/bin:/usr/bin:/bin`,
          HOME: home,
          LANG: "C.UTF-8",
          PYTHONUNBUFFERED: "1",
          // In a network of its own a server may listen on every address.
          MLSERVER_HOST: loopbackAddress,
          ...Object.fromEntries(environment),
        },
        directory: home,
        log: join(logDirectory, `${namespace}_${podName}_${container.name}.log`),
        messageFromLog: container.terminationMessagePolicy === "FallbackToLogsOnError",
      },
      { probe: container.readinessProbe, ask },
      onChange,
    );
  }
}
