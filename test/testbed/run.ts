import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogDirectory } from "./logs";
import { ChildPart, type PartDefinition, type PartName } from "./processes";
import { removeAtEnd } from "./watchdog";

/** One run of some parts: their data in a temporary folder, their logs in a folder that stays. */
export class Run {
  /** The folder for the parts' data, removed when the run is stopped. */
  readonly directory = mkdtempSync(join(tmpdir(), "mlflow-kserve-"));
  readonly logDirectory: string;
  readonly parts: Partial<Record<PartName, ChildPart>> = {};
  readonly #started = Date.now();
  #stopped = false;

  constructor(
    private readonly report: (message: string) => void,
    logDirectory?: string,
  ) {
    this.logDirectory = logDirectory ?? createLogDirectory();
    removeAtEnd(this.directory);
  }

  /** Reports a step that is done, with the seconds since the run was begun. */
  readonly progress = (message: string): void => {
    const seconds = ((Date.now() - this.#started) / 1000).toFixed(1).padStart(6);
    if (!this.#stopped) this.report(`${seconds} s  ${message}`);
  };

  /** Starts a part and waits until it is ready. */
  async start(definition: PartDefinition): Promise<ChildPart> {
    if (this.#stopped) throw new Error(`${definition.name} was not started, because the testbed is being stopped`);
    const part = new ChildPart(definition, this.logDirectory);
    this.parts[definition.name] = part;
    await part.start();
    this.progress(`${definition.name} is ready`);
    return part;
  }

  /** Ends all parts at once (their data goes with them, so nothing has to be saved) and removes the data. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const parts = Object.values(this.parts);
    for (const part of parts) part.kill();
    await Promise.all(parts.map(part => part.gone()));
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}
