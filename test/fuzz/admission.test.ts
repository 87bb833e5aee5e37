import { expect, inject, it } from "vitest";
import { connectToApiServer } from "../../capabilities/kubernetes/api-server";
import { kubeConfigFrom } from "../support/kube-config";
import { createNamespace } from "../testbed/namespaces";
import { admissionProperties } from "./properties/admission";

/** Batches of up to 8 objects for each property, each of which costs the API server and KServe some milliseconds. */
const BATCHES = 12;

it("the real API server, with KServe's CRD and admission, makes of what is rendered what it should", async () => {
  const apiServer = connectToApiServer(15_000, kubeConfigFrom(inject("kubeconfig")));
  for (const property of admissionProperties(apiServer, await createNamespace("fuzz"))) {
    const { inputs, failure } = await property.check({ numRuns: BATCHES });
    expect(failure?.report, property.name).toBeUndefined();
    console.log(`${inputs} inputs: ${property.name}`);
  }
}, 120_000);
