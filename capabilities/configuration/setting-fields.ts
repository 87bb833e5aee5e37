import { MINIMUM_SECRET_LENGTH } from "./rotating-secret";
import * as z from "zod";
import { DEFAULT_STATUS_TAG_PREFIX } from "../status/status-tags";
import {
  alias,
  dnsLabel,
  flag,
  httpUrl,
  list,
  logLevel,
  minutes,
  namespaces,
  quantity,
  servingUrl,
  wholeNumber,
  word,
} from "./setting-checks";

declare module "zod" {
  interface GlobalMeta {
    /** The value may never be shown. */
    secret?: true;
  }
}

/** Pepr's server for admission listens on it, in the same process. */
const PEPR_PORT = 3000;

const portBesidePepr = (example: string) =>
  wholeNumber(0, 65_535, "a TCP port").refine(port => port !== PEPR_PORT, {
    error: `is the port of Pepr's own server, in the same container; take another one, like ${example}`,
  });

/**
 * All settings, the single source of their parsing, their defaults and their documentation (docs/settings.md and
 * docs/settings.schema.json are made from it). Keys are the names without prefix, defaults are as a user writes them.
 */
export const settingsSchema = z.object({
  MLFLOW_TRACKING_URI: httpUrl("give the base URL of the MLflow server, like https://mlflow.example.com").meta({
    description: "Base URL of the MLflow tracking server. Required.",
  }),
  MLFLOW_TRACKING_TOKEN_FILE: z.string().optional().meta({
    description:
      "File with the token for MLflow, read anew while the module runs: a mounted Secret, or a projected token of the ServiceAccount.",
  }),
  MLFLOW_WEBHOOK_SECRET: z
    .string()
    .refine(secret => secret.length >= MINIMUM_SECRET_LENGTH, {
      error: `must have at least ${MINIMUM_SECRET_LENGTH} characters: make one with openssl rand -base64 32`,
    })
    .optional()
    .meta({
      description:
        "Secret that MLflow signs its deliveries with. Required unless DISABLE_WEBHOOKS is true. From the Secret it may be rotated: a new one is taken up without a restart.",
      secret: true,
    }),
  MLFLOW_WEBHOOK_URL: httpUrl("give the URL at which MLflow reaches this module, ending in /webhook").optional().meta({
    description:
      "URL at which MLflow reaches this module. When set, the module registers its webhook in MLflow and keeps it; when not, the webhook must be registered by hand.",
  }),
  MLFLOW_WEBHOOK_NAME: z
    .string()
    // As MLflow validates it (mlflow/utils/validation.py).
    .regex(/^(?=.{1,63}$)[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i, {
      error:
        "is no webhook name; use at most 63 letters, digits, dots, underscores and dashes, with a letter or digit at both ends",
    })
    .prefault("mlflow-kserve")
    .meta({ description: "Name of the webhook in MLflow. Other installations may have the same." }),
  MLFLOW_WEBHOOK_CACHE_TTL: wholeNumber(0, 3600, "a whole number of seconds").prefault("60").meta({
    description:
      "Seconds for which each process of MLflow's server keeps its list of webhooks, as the variable of the same name has it there. For so long after the webhook was made or changed deliveries are not relied on.",
  }),
  APP_HOST: z.string().optional().meta({
    description:
      "Address that the endpoint listens on. When not set: ::, which is every IPv6 and IPv4 address, and 0.0.0.0 where there is no IPv6.",
  }),
  APP_PORT: portBesidePepr("8000")
    .prefault("8000")
    .meta({ description: "Port that the endpoint listens on; 0 takes a free one. Not 3000, which is Pepr's." }),
  OPERATIONS_PORT: portBesidePepr("8081").optional().meta({
    description:
      "Port for operations: the status page, /services, /metrics, /health and the probes. APP_PORT then has none of the first three. When not set, APP_PORT has everything. Neither 3000 nor APP_PORT; 0 takes a free one. The manifests set 8081.",
  }),
  WEBHOOK_PODS_URL: httpUrl(
    "give the URL of the pods that take deliveries, like http://mlflow-kserve-operations.pepr-system.svc:8081",
  )
    .optional()
    .meta({
      description:
        "Where the pods that take deliveries answer for operations, each by an address of its own, as the host of a headless Service has them. The watcher asks them for the status page, over HTTPS with what is in TLS_CERT_FILE as what it trusts. It does not ask when not set. The manifests set it.",
    }),
  TLS_CERT_FILE: z.string().optional().meta({
    description: "Certificate chain (PEM) to serve HTTPS with. A renewed file is taken up without a restart.",
  }),
  TLS_KEY_FILE: z.string().optional().meta({ description: "Private key (PEM) of the certificate." }),
  KUBE_NAMESPACE: dnsLabel
    .prefault("kserve-mlflow-models")
    .meta({ description: "Namespace of the InferenceServices. It must exist." }),
  FORMER_NAMESPACES: namespaces.prefault("").meta({
    description:
      "Namespaces, separated by commas, that InferenceServices of this installation are left in since KUBE_NAMESPACE was changed. Only in these is anything ever removed; never name one that another installation looks after.",
  }),
  FORMER_NAMESPACE_SERVICES: word("keep", "move", "remove").prefault("keep").meta({
    description:
      "What becomes of the InferenceServices in FORMER_NAMESPACES. keep: they are only told of. move: each is removed once the same version's service in KUBE_NAMESPACE is Ready. remove: all are, at once.",
  }),
  INFERENCE_SERVICE_TEMPLATE: z.string().optional().meta({
    description:
      "InferenceService template: path of a file, the YAML itself, or a ConfigMap's name/key in the module's namespace. The built-in one when not set.",
  }),
  STORAGE_URI_BASE: z.string().optional().meta({
    description:
      "Where MLflow's artifact proxy keeps its artifacts (the server's --artifacts-destination), for versions whose source is mlflow-artifacts:/….",
  }),
  ALLOWED_STORAGE_URIS: list.optional().meta({
    description:
      "Storage URIs, separated by commas, that predictors may read from, with the whole folders that they name, like s3://models,pvc://models. A version whose artifacts are elsewhere is refused, and a service of one that runs is removed, under the rules of deletion. Everything when not set.",
  }),
  PREDICTOR_CPU_REQUEST: quantity.prefault("100m").meta({ description: "CPU request of a predictor." }),
  PREDICTOR_CPU_LIMIT: quantity.prefault("1").meta({ description: "CPU limit of a predictor." }),
  PREDICTOR_MEMORY_REQUEST: quantity.prefault("512Mi").meta({ description: "Memory request of a predictor." }),
  PREDICTOR_MEMORY_LIMIT: quantity.prefault("2Gi").meta({ description: "Memory limit of a predictor." }),
  LOG_LEVEL: logLevel.prefault("INFO").meta({ description: "DEBUG, INFO, WARNING or ERROR." }),
  DISABLE_WEBHOOKS: flag
    .prefault("false")
    .meta({ description: "true: no endpoint for deliveries; the poll alone does the work." }),
  WEBHOOK_STARTUP_TIMEOUT: wholeNumber(1, 600, "a whole number of seconds").prefault("30").meta({
    description:
      "Seconds that one attempt to register and prove the webhook may take at the start; one that takes longer has failed.",
  }),
  WEBHOOK_STARTUP_RETRIES: wholeNumber(0, 100, "a whole number").prefault("2").meta({
    description:
      "Further attempts at the start, with growing pauses, that may fail before polling is said to carry the work. Attempts go on in the background after that.",
  }),
  ENABLE_POLLING_FALLBACK: flag.prefault("true").meta({
    description:
      "false: no poll while webhooks are enabled. What a lost delivery leaves undone then stays undone; meant for tests.",
  }),
  POLLING_INTERVAL: wholeNumber(10, 86_400, "a whole number of seconds")
    .prefault("60")
    .meta({ description: "Seconds between two polls of MLflow." }),
  DELETION_GUARD_PERCENT: wholeNumber(0, 100, "a whole number").prefault("50").meta({
    description:
      "Guard against mass deletion: a poll that would delete more than this percentage of all services at once, and more than DELETION_GUARD_COUNT, holds them. All services at once are always held.",
  }),
  DELETION_GUARD_COUNT: wholeNumber(0, 1_000_000, "a whole number")
    .prefault("5")
    .meta({ description: "Services that a poll may always delete at once, unless they are all there are." }),
  DELETION_HOLD_MINUTES: minutes(525_600).prefault("30").meta({
    description:
      "Minutes that a suspicious deletion is held, and must still be confirmed after; 0 holds none. What another MLflow than the service's own says is held for good.",
  }),
  HANDOVER_MINUTES: minutes(10_080).prefault("10").meta({
    description:
      "Minutes that a model's last Ready version stays, at the most, when it is to go while another version of the model is starting; 0 lets it go at once.",
  }),
  ROLLOUT_MAX_UNAVAILABLE: wholeNumber(1, 1000, "a whole number").prefault("2").meta({
    description:
      "Services that a changed template, setting or release may bring up to date at the same time: each is Ready before the next.",
  }),
  ROLLOUT_DEADLINE_MINUTES: minutes(10_080).prefault("15").meta({
    description: "Minutes that such a service may take to become Ready before the rollout stops, with the cause.",
  }),
  ROLLOUT_DRY_RUN: flag.prefault("false").meta({
    description:
      "true: no existing service is changed for a new template, setting or release; the log says what would change, and how.",
  }),
  ADOPT_SERVICES: flag.prefault("true").meta({
    description:
      "true: InferenceServices with this module's labels and names, but without its annotations, as the FastAPI listener makes them, are taken over. false: they are somebody else's.",
  }),
  DEPLOY_TAG_KEY: z
    .string()
    .regex(/^[^"'`\\]{1,250}$/, { error: "must be 1 to 250 characters without quotes and backslashes" })
    .prefault("deploy")
    .meta({ description: "Key of the model version tag that deploys." }),
  CHAMPION_ALIAS: alias.prefault("champion").meta({
    description:
      "Alias of the version that is served, and to take all traffic, of registered models that have the deploy tag themselves.",
  }),
  CHALLENGER_ALIAS: alias.prefault("challenger").meta({
    description: "Alias of the version of such a model that is served beside the champion.",
  }),
  FORMER_CHAMPION_MINUTES: minutes(10_080).prefault("5").meta({
    description:
      "Minutes that the version stays which the champion's alias was moved away from, once the model's endpoint leads to the new one: to move the alias back then takes no start. 0 lets it go at once.",
  }),
  STATUS_TAGS: flag.prefault("true").meta({
    description:
      "true: tags on each version in MLflow say how it is served: serving (the state), serving.url and serving.cause. false: none are written, and those that were are taken away.",
  }),
  STATUS_TAG_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9_][\w. -]{0,99}$/, {
      error:
        "must be 1 to 100 letters, digits, underscores, dots, dashes and spaces, and begin with one of the first three",
    })
    .prefault(DEFAULT_STATUS_TAG_PREFIX)
    .meta({
      description:
        "Key of the tag with the state, and what the keys of the others begin with. Each installation that serves from one MLflow needs one of its own.",
    }),
  SERVING_URL: servingUrl.prefault("auto").meta({
    description:
      "Which address of a service is shown. external: KServe's status.url. internal: its address in the cluster. auto: the external one where KServe makes ingresses and its ingressDomain is not the example.com that it comes with, else the internal one. Or a URL like https://models.example.com/{{namespace}}/{{name}}, with the variables name, namespace, model_name and model_version.",
  }),
  KSERVE_NAMESPACE: dnsLabel.prefault("kserve").meta({
    description: "Namespace of KServe's controller and configuration, which SERVING_URL=auto reads.",
  }),
  MLFLOW_PUBLIC_URL: httpUrl("give the URL at which people reach MLflow's pages, like https://mlflow.example.com")
    .optional()
    .meta({
      description: "URL at which people reach MLflow, for the links of the status page. It has none when not set.",
    }),
  KUBE_IN_CLUSTER: flag.optional().meta({
    description: "Accepted for compatibility and not used: the cluster is found as Pepr finds it.",
  }),
});
