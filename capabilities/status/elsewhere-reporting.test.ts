import { describe, expect, it } from "vitest";
import { recordingLog } from "../../test/support/unit/recording-log";
import type { RecordedEvent } from "../kubernetes/events";
import type { Because } from "../reconciliation/former-namespace-judgement";
import type { ElsewhereReport } from "../reconciliation/former-namespaces";
import { createElsewhereReporter, describeElsewhere } from "./elsewhere-reporting";

const report = (because: Because, count = 1, unreadable: string[] = []): ElsewhereReport => ({
  found: [{ namespace: "old", because, count, first: ["mlflow-iris-v1"] }],
  unreadable,
});

describe("describeElsewhere", () => {
  it("tells namespace, number, first names, and the choice", () => {
    const text = describeElsewhere(report("unnamed", 12), "models");
    expect(text).toContain(
      "are in other namespaces than models. old has 12 (mlflow-iris-v1, …): nobody looks after them",
    );
    expect(text).toContain("name old in MLFLOW_KSERVE_FORMER_NAMESPACES");
    expect(text).toContain("kubectl delete inferenceservices -n old -l managed-by=mlflow-kserve-webhook-listener");
  });

  it("says the same of several namespaces once", () => {
    const [old] = report("kept").found;
    const found = old === undefined ? [] : [old, { ...old, namespace: "older" }];
    const text = describeElsewhere({ found, unreadable: [] }, "models");
    expect(text).toContain("old has 1 (mlflow-iris-v1), older has 1 (mlflow-iris-v1): kept, ");
    expect(text?.match(/kubectl delete inferenceservices -n NAMESPACE/g)).toHaveLength(1);
  });

  it("has a cure for all that does not pass by itself, in what an Event can hold", () => {
    for (const because of ["unnamed", "kept", "untagged", "doubtful", "others", "forbidden"] as const) {
      const text = describeElsewhere(report(because), "models") ?? "";
      expect(text).toMatch(/name old|set MLFLOW|look at|take old|let its/);
      expect(text.length).toBeLessThan(1024);
    }
    expect(describeElsewhere(report("waiting"), "models")).toBeUndefined();
    expect(describeElsewhere({ found: [], unreadable: ["older"] }, "models")).toContain("older may not be looked into");
  });
});

describe("createElsewhereReporter", () => {
  it("tells on change, not on repetition, and counts each time", () => {
    const { log, lines } = recordingLog();
    const events: RecordedEvent[] = [];
    const counts: number[] = [];
    const tell = createElsewhereReporter({
      namespace: "models",
      record: event => events.push(event),
      log,
      metrics: { servicesElsewhere: count => counts.push(count) },
    });
    const nothing = { found: [], unreadable: [] };
    for (const one of [nothing, report("kept", 2), report("kept", 3), report("waiting"), report("doubtful"), nothing])
      tell(one);

    expect(counts).toEqual([0, 2, 3, 1, 0, 0]);
    expect(lines.map(({ level }) => level)).toEqual(["warn", "info", "warn", "info"]);
    expect(events.map(({ type, reason }) => [type, reason])).toEqual([
      ["Warning", "ServicesElsewhere"],
      ["Warning", "ServicesElsewhere"],
    ]);
  });
});
