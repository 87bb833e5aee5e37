import type { Kubectl } from "../testbed/kubectl";
import type { MlflowServer, Part } from "../testbed";
import { startMlflowWith } from "../load/large-registry";
import type { LargeRegistry } from "../load/large-registry";

/** Between what the module is measured. */
export interface World {
  readonly kubeconfig: string;
  readonly kubectl: Kubectl;
  readonly python: string;
  readonly logDirectory: string;
  readonly apiServerPart: Part | undefined;
  readonly sizes: Sizes;
  /** A new namespace; its name begins with the prefix. */
  readonly createNamespace: (prefix: string) => Promise<string>;
  readonly say: (line: string) => void;
  /** Notes something that is wrong. */
  readonly problem: (what: string) => void;
  readonly profileDirectory: string | undefined;
}

/** How much is measured. */
export interface Sizes {
  /** Deliveries of each kind at each concurrency. */
  readonly deliveries: number;
  readonly clients: readonly number[];
  /** Rejections of each kind. */
  readonly rejections: number;
  /** Per second, beside accepted deliveries. */
  readonly rejectionRate: number;
  /** Model versions in MLflow, a tenth of them tagged. */
  readonly polls: readonly number[];
  /** Services whose watcher's memory is measured. */
  readonly services: number;
  /** Polls with nothing to do, of each size, and of the watcher whose memory is measured. */
  readonly idlePolls: number;
  readonly burst: number;
  /** Services that become Ready at once, and tags that a person sets before that. */
  readonly statusTags: number;
  readonly personsTags: number;
  readonly starts: number;
  /** Server processes of MLflow; four are its own default. */
  readonly mlflowProcesses: number;
}

export const SIZES: Sizes = {
  deliveries: 400,
  clients: [1, 8, 32],
  rejections: 20_000,
  rejectionRate: 5_000,
  polls: [100, 1_000, 10_000],
  services: 10_000,
  idlePolls: 5,
  burst: 5_000,
  statusTags: 1_000,
  personsTags: 40,
  starts: 7,
  mlflowProcesses: 4,
};

/** All parts, as small as they show that the bench works. */
export const QUICK_SIZES: Sizes = {
  deliveries: 16,
  clients: [1, 8],
  rejections: 200,
  rejectionRate: 200,
  polls: [60],
  services: 20,
  idlePolls: 1,
  burst: 40,
  statusTags: 20,
  personsTags: 3,
  starts: 1,
  mlflowProcesses: 1,
};

/** Versions in MLflow, in addition, of a run that may take longer. */
export const FULL_POLL = 50_000;

/** Starts an MLflow with models of one version each, tagged from the first on. */
export async function startFilledMlflow(
  { python, logDirectory, sizes }: World,
  registry: Partial<LargeRegistry> & { readonly models: readonly string[] },
): Promise<MlflowServer> {
  const whole = { versions: 1, tagged: registry.models.length, tag: "deploy", runs: false, ...registry };
  return await startMlflowWith(whole, { python, logDirectory, workers: sizes.mlflowProcesses });
}

export function modelNames(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}
