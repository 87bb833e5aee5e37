/** The wish cannot be fulfilled, and trying again without a change would not help. The message says what to change. */
export class RefusedError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RefusedError";
  }
}

/** The version's storage is not among those that the administrator of the module allows; what serves it is to go. */
export class StorageNotAllowedError extends RefusedError {
  constructor(message: string) {
    super(message);
    this.name = "StorageNotAllowedError";
  }
}

/** The version that MLflow has is another one than its service was made for, of another MLflow; the service stays as it is. */
export class OtherRegistryError extends RefusedError {
  constructor(name: string, namespace: string) {
    super(
      `InferenceService ${namespace}/${name} serves a version of the same name that came from another MLflow, or another ` +
        "workspace, and is left as it is: check MLFLOW_KSERVE_MLFLOW_TRACKING_URI and MLFLOW_WORKSPACE; to have this version " +
        "served instead, set its tag once more, or take the record off: " +
        `kubectl annotate inferenceservice -n ${namespace} ${name} mlflow.registry-`,
    );
    this.name = "OtherRegistryError";
  }
}

/** An InferenceService that is not ours has the name; it is left untouched. */
export class ForeignObjectError extends Error {
  constructor(
    name: string,
    namespace: string,
    /** The foreign object's uid. */
    readonly uid?: string,
  ) {
    super(
      `InferenceService ${namespace}/${name} exists and was not made by this module, so it is left untouched; ` +
        "delete or rename it, or register the model under another name",
    );
    this.name = "ForeignObjectError";
  }
}
