import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { createNamespace } from "../testbed/namespaces";
import { startFuzzedEndpoint } from "./endpoint";
import type { FuzzedEndpoint } from "./endpoint";
import { endpointProperties } from "./properties/endpoint";

/** Batches of up to 24 requests for each property: some seconds. `npm run fuzz` goes on for as long as it is told to. */
const BATCHES = 80;

describe("the endpoint", () => {
  let endpoint: FuzzedEndpoint;

  beforeAll(async () => {
    const systems = { kubeconfig: inject("kubeconfig"), mlflowTrackingUri: inject("mlflowTrackingUri") };
    endpoint = await startFuzzedEndpoint({ ...systems, namespace: await createNamespace("fuzz") });
  });
  afterAll(async () => {
    await endpoint.stop();
  });

  it("answers hostile input as it should, deploys nothing for it, and takes valid deliveries in between", async () => {
    await endpoint.checkStillWorking();
    for (const property of endpointProperties(endpoint)) {
      const { inputs, failure } = await property.check({ numRuns: BATCHES });
      expect(failure?.report, property.name).toBeUndefined();
      expect(inputs).toBeGreaterThanOrEqual(BATCHES);
      await endpoint.checkStillWorking();
      console.log(`${inputs} inputs: ${property.name}`);
    }
    // Or nothing of it came to where it could do harm.
    expect([...endpoint.statuses.keys()]).toEqual(expect.arrayContaining([200, 400, 401, 404, 405, 415]));
  }, 180_000);
});
