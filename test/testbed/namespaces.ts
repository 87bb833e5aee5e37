import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { afterAll, inject } from "vitest";
import { kubectlFor, type Kubectl } from "./kubectl";

const created: string[] = [];

// Runs at the end of each test file that imports this one.
afterAll(async () => {
  const names = created.splice(0);
  // Without waiting: with what is in them they are gone when they are gone, and no other test uses them.
  if (names.length > 0) await testKubectl()(["delete", "namespace", "--wait=false", "--ignore-not-found", ...names]);
});

/**
 * Makes a namespace that nobody else has, for use in a test or a hook; it is deleted when the test file has ended.
 * @param prefix how its name begins: lower-case letters, digits and dashes
 * @returns the name: the prefix, a dash and six characters
 */
export async function createNamespace(prefix: string): Promise<string> {
  const name = `${prefix}-${randomBytes(3).toString("hex")}`;
  await testKubectl()(["create", "namespace", name]);
  created.push(name);
  return name;
}

/** A function that runs kubectl against the cluster of this test run. */
export function testKubectl(): Kubectl {
  return kubectlFor(inject("kubectl"), inject("kubeconfig"), tmpdir());
}
