import assert from "node:assert/strict";
import fc from "fast-check";
import { identityAnnotations, identityLabels, keyOf, labelValue } from "../../../capabilities/kserve/identity";
import { inferenceServiceName, maximumNameLength } from "../../../capabilities/kserve/names";
import { formatKey } from "../../../capabilities/support/model-version-key";
import { collidingModelNames, hostileText, modelName, namespace, versionNumber } from "../../arbitraries";
import { fuzzProperty } from "../fuzz-property";

const KSERVE_NAME = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

/** An object of ours as it comes back from the API server, which keeps text as UTF-8. */
export function managed(model: string, version: string, space = "default") {
  const key = { model, version };
  const stored = (map: Record<string, string>) =>
    Object.fromEntries(Object.entries(map).map(([name, value]) => [name, Buffer.from(value, "utf8").toString("utf8")]));
  return {
    name: inferenceServiceName(key, space),
    namespace: space,
    labels: stored(identityLabels(key)),
    annotations: stored(identityAnnotations(key)),
  };
}

export const nameIsValid = fuzzProperty(
  "a name is valid, short enough for all that KServe derives, and always the same",
  fc.tuple(modelName(), versionNumber(), namespace()),
  ([model, version, space]) => {
    const name = inferenceServiceName({ model, version }, space);
    assert.match(name, KSERVE_NAME);
    assert.ok(name.length <= maximumNameLength(space));
    assert.ok(name.startsWith("mlflow-") && name.endsWith(`-v${version}`));
    for (const component of ["predictor", "transformer", "explainer"]) {
      assert.match(`${name}-${component}-00001`, DNS_LABEL);
      assert.match(`${name}-${component}-${space}`, DNS_LABEL);
      assert.ok(`isvc.${name}-${component}`.length <= 63);
    }
    assert.equal(inferenceServiceName({ model, version }, space), name);
  },
);

export const differentModelsHaveDifferentNames = fuzzProperty(
  "different models, however alike, and different versions have different names and labels",
  fc.tuple(collidingModelNames(), versionNumber(), versionNumber(), namespace()),
  ([[one, other], version, otherVersion, space]) => {
    const name = (model: string, number: string) => inferenceServiceName({ model, version: number }, space);
    assert.notEqual(name(one, version), name(other, version));
    assert.notEqual(name(one, version), name(other, otherVersion));
    if (version !== otherVersion) assert.notEqual(name(one, version), name(one, otherVersion));
    assert.notEqual(labelValue(one), labelValue(other));
    // Nor can a text pretend to be what another becomes.
    if (labelValue(one) !== one) assert.notEqual(labelValue(labelValue(one)), labelValue(one));
  },
);

export const labelIsValid = fuzzProperty(
  "labels are valid whatever their originals are",
  fc.tuple(modelName(), hostileText(), hostileText()),
  ([model, version, runId]) => {
    for (const value of Object.values(identityLabels({ model, version, runId }))) {
      assert.match(value, LABEL_VALUE);
      assert.ok(value.length <= 63);
    }
  },
);

export const keyIsFoundAgain = fuzzProperty(
  "the key of every object of ours is found again after a round trip through UTF-8",
  fc.tuple(modelName(), versionNumber(), namespace()),
  ([model, version, space]) => {
    assert.deepEqual(keyOf(managed(model, version, space)), { model, version });
  },
);

export const keyNeedsItsName = fuzzProperty(
  "no key is read from an object with another's annotations",
  fc.tuple(collidingModelNames(), versionNumber(), namespace()),
  ([[one, other], version, space]) => {
    const object = { ...managed(one, version, space), annotations: managed(other, version, space).annotations };
    assert.equal(keyOf(object), undefined);
  },
);

export const keyIsShownOnOneLine = fuzzProperty(
  "a key is shown as one printable line that belongs to it only",
  fc.tuple(hostileText(), hostileText(), hostileText(), hostileText()),
  ([model, version, otherModel, otherVersion]) => {
    const shown = formatKey({ model, version });
    assert.doesNotMatch(shown, UNPRINTABLE);
    if (model === otherModel && version === otherVersion) return;
    assert.notEqual(shown, formatKey({ model: otherModel, version: otherVersion }));
  },
);
