import { afterEach, inject } from "vitest";
import { parseLive } from "../../capabilities/kserve/live-inference-service";
import { isReady } from "../../capabilities/kserve/service-state";
import { followObjects } from "./followed-objects";
import type { FollowedObject } from "./followed-objects";

/** Whether a model is served, as a watch of its InferenceServices tells: no moment is overlooked. Timeouts in milliseconds. */
export interface ReadyServices {
  /** Waits until this service is Ready. */
  until: (name: string, timeout: number) => Promise<void>;
  /** Waits until this service is Ready and the others are gone. */
  onlyOneLeft: (name: string, timeout: number) => Promise<void>;
  /** How long none of them was Ready and staying, since the first was. */
  secondsWithout: () => number;
}

const stops: (() => void)[] = [];

// Runs after each test of a file that imports this one.
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** Follows the services of a namespace that have such names, until the test has ended. */
export async function followReady(namespace: string, isOfModel: (name: string) => boolean): Promise<ReadyServices> {
  let milliseconds = 0;
  let since: number | undefined;
  let wasReady = false;
  const readyIn = (objects: ReadonlyMap<string, FollowedObject>): string[] =>
    [...objects]
      .filter(([name, object]) => {
        const live = parseLive(object);
        return isOfModel(name) && live !== undefined && isReady(live);
      })
      .map(([name]) => name);
  const path = `/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices`;
  const followed = await followObjects(inject("kubeconfig"), path, objects => {
    const isNow = readyIn(objects).length > 0;
    if (wasReady && !isNow) since = performance.now();
    if (isNow && since !== undefined) {
      milliseconds += performance.now() - since;
      since = undefined;
    }
    wasReady = isNow;
  });
  stops.push(followed.stop);
  return {
    until: (name, timeout) => followed.until(`${name} Ready`, objects => readyIn(objects).includes(name), timeout),
    onlyOneLeft: (name, timeout) =>
      followed.until(
        `only ${name} left`,
        objects => {
          const left = [...objects.keys()].filter(isOfModel);
          return left.length === 1 && left[0] === name && readyIn(objects).includes(name);
        },
        timeout,
      ),
    secondsWithout: () => (milliseconds + (since === undefined ? 0 : performance.now() - since)) / 1000,
  };
}
