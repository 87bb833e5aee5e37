import type { LoadSummary } from "./load";

/** Everything that a run measured, as it is written to JSON. A part that did not run is missing. */
export interface BenchResults {
  /** When it was made (ISO 8601). */
  readonly made: string;
  readonly command: string;
  readonly machine: Machine;
  readonly deliveries?: DeliveryResults;
  readonly rejections?: RejectionResults;
  readonly httpClients?: HttpClientResults;
  readonly poll?: PollResults;
  readonly burst?: BurstResults;
  readonly statusTags?: StatusTagResults;
  readonly start?: StartResults;
  readonly target?: TargetResults;
  /** What was wrong; empty when everything was answered, and applied, as it should be. */
  readonly problems: readonly string[];
}

export interface Machine {
  readonly processors: number;
  readonly processor: string;
  /** GiB */
  readonly memory: number;
  readonly node: string;
  /** Average number of processes that wanted a processor in the minute before: above 0.5 others were at work. */
  readonly loadBefore: number;
  /** KServe's controller and webhooks, which compete for the processors. */
  readonly kserve: "paused" | "running";
}

/** Part 1 and 2, measured side by side. */
export interface DeliveryResults {
  readonly levels: readonly DeliveryLevel[];
  /** MLflow reads over kept connections, for comparison: `model-versions/get` one after the other. */
  readonly keptConnectionRead: LoadSummary;
}

export interface DeliveryLevel {
  readonly kind: string;
  readonly clients: number;
  /** `model-versions/get` over fresh connections. */
  readonly reads: LoadSummary;
  /** Reads of the InferenceService, where what is to be done cannot be known without. */
  readonly looks?: LoadSummary | undefined;
  /** Server-side applies of the same objects, or Deletes with the same preconditions; none where nothing is to be done. */
  readonly writes?: LoadSummary | undefined;
  /** One of each, one after the other, with objects of their own, by the same client. */
  readonly inTurn: LoadSummary;
  /** Deliveries per second that one of each would allow. */
  readonly limit: number;
  readonly deliveries: LoadSummary;
  /** Processor seconds during the deliveries, second looks included. */
  readonly processor: { readonly module: number; readonly mlflow: number; readonly apiServer: number };
  /** Most resident memory of the module's process until then, in MiB. */
  readonly memory: number;
}

/** The same driver against another server. */
export interface TargetResults {
  readonly target: string;
  readonly levels: readonly { readonly clients: number; readonly deliveries: LoadSummary }[];
}

export interface RejectionResults {
  readonly kinds: readonly {
    readonly kind: string;
    readonly load: LoadSummary;
    /** Rejections for each second of the module's processor time. */
    readonly perProcessorSecond: number;
  }[];
  /** Accepted deliveries, one after the other, alone and beside a stream of rejections. */
  readonly beside: {
    readonly rejectionsPerSecond: number;
    readonly alone: LoadSummary;
    readonly together: LoadSummary;
  };
}

/** Reads of a version by several HTTP clients in the process that measures. */
export interface HttpClientResults {
  readonly levels: readonly {
    readonly client: string;
    readonly clients: number;
    readonly load: LoadSummary;
    /** Milliseconds of the process's processor time for each call. */
    readonly processor: number;
  }[];
}

export interface PollResults {
  readonly sizes: readonly PollSize[];
  /** A watcher process that has polled with so many services. */
  readonly memory?: { readonly services: number; readonly resident: number; readonly peak: number };
}

export interface PollSize {
  readonly versions: number;
  readonly tagged: number;
  /** Seconds that filling MLflow took. */
  readonly filled: number;
  readonly steps: readonly PollStep[];
  /** Seconds of MLflow's bare search and of the API server's bare list, each with all pages; medians. */
  readonly bareSearch: number;
  readonly bareList: number;
}

export interface PollStep {
  readonly step: string;
  readonly seconds: number;
  readonly processorSeconds: number;
  readonly mlflowRequests: number;
  readonly apiServerRequests: number;
  /** Resident memory of the polling process afterwards, in MiB. */
  readonly memory: number;
}

export interface BurstResults {
  readonly tags: number;
  /** Tags that MLflow set in a second, while it delivered. */
  readonly setPerSecond: number;
  readonly secondsToSet: number;
  /** From the first tag to the last Apply, and from the last tag to it. */
  readonly secondsToApply: number;
  readonly secondsBehind: number;
  readonly lost: number;
  readonly processor: { readonly module: number; readonly mlflow: number; readonly apiServer: number };
}

/** What the tags that tell of each version's state cost. */
export interface StatusTagResults {
  /** Deliveries without status tags and with them, in turns. */
  readonly levels: readonly { readonly clients: number; readonly off: LoadSummary; readonly on: LoadSummary }[];
  /** Many services that become Ready at once. */
  readonly ready: {
    readonly versions: number;
    /** Until the API server had taken the last of their states, and until MLflow had the last of their tags. */
    readonly secondsToReady: number;
    readonly secondsToTags: number;
    /** A tag that a person sets, until its InferenceService is there, before and while those tags are written. */
    readonly person: { readonly alone: LoadSummary; readonly meanwhile: LoadSummary };
  };
  readonly page: PageResults;
}

/** The status page in a real browser. */
export interface PageResults {
  readonly versions: number;
  /** Milliseconds from the end of the answer to the paint of the first view. */
  readonly painted: number;
  /** From the API server's word of a new InferenceService until the page shows its version. */
  readonly changes: LoadSummary;
}

export interface StartResults {
  /** Milliseconds from the start of the process until it is ready, of each start. */
  readonly endpoint: readonly number[];
  readonly watcher: readonly number[];
  /** Milliseconds until Node itself runs a program. */
  readonly node: readonly number[];
  /** Bytes of the bundle, gzipped as Pepr puts it into its Secret. */
  readonly bundle: number;
}
