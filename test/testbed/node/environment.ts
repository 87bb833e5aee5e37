import type { Container, KeyReference, Pod, Variable } from "./pod";
import { CannotRunError } from "./programs";

/** Reads one key of a Secret or ConfigMap of a namespace; undefined when object or key is not there. */
export type ReadKey = (
  kind: "secrets" | "configmaps",
  namespace: string,
  reference: KeyReference,
) => Promise<string | undefined>;

/**
 * The variables of a container, with references to Secrets, ConfigMaps and fields resolved and $(NAME) expanded.
 * @throws CannotRunError when something that is referred to is missing
 */
export async function environmentOf(
  container: Container,
  pod: Pod,
  podAddress: string,
  readKey: ReadKey,
): Promise<Record<string, string>> {
  const environment: Record<string, string> = {};
  for (const variable of container.env ?? []) {
    const value = await valueOf(variable, pod, podAddress, readKey);
    if (value !== undefined) environment[variable.name] = expand(value, environment);
  }
  return environment;
}

/** Kubernetes' expansion: $(NAME) of a variable before, $$( for a plain $(; an unknown name stays as it is. */
export function expand(value: string, known: Readonly<Record<string, string>>): string {
  return value.replace(/\$(\$|\(([\w.-]+)\))/g, (match, what: string, name: string | undefined) =>
    what === "$" ? "$" : name !== undefined && Object.hasOwn(known, name) ? (known[name] ?? match) : match,
  );
}

async function valueOf(
  { name, value = "", valueFrom }: Variable,
  pod: Pod,
  podAddress: string,
  readKey: ReadKey,
): Promise<string | undefined> {
  if (valueFrom === undefined) return value;
  const { secretKeyRef, configMapKeyRef, fieldRef } = valueFrom;
  const reference = secretKeyRef ?? configMapKeyRef;
  if (reference) {
    const kind = secretKeyRef ? "secrets" : "configmaps";
    const found = await readKey(kind, pod.metadata.namespace, reference);
    if (found === undefined && !reference.optional) {
      const what = `${kind} "${reference.name}" with the key ${reference.key} not found for the variable ${name}`;
      throw new CannotRunError("CreateContainerConfigError", what);
    }
    return found;
  }
  const fields: Record<string, string> = {
    "metadata.name": pod.metadata.name,
    "metadata.namespace": pod.metadata.namespace,
    "metadata.uid": pod.metadata.uid,
    "status.podIP": podAddress,
  };
  const field = fields[fieldRef?.fieldPath ?? ""];
  if (field === undefined) {
    throw new CannotRunError("CreateContainerConfigError", `The testbed's node cannot resolve the variable ${name}`);
  }
  return field;
}
