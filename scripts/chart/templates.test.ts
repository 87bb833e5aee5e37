import { describe, expect, it } from "vitest";
import { completeDeployment } from "./deployment-templates";
import { editText, indent } from "./text-edits";
import { webhookTemplate } from "./webhook-templates";

describe("editText", () => {
  it("replaces each text everywhere", () => {
    const edits = [
      ["a", "x"],
      ["b", "y"],
    ] as const;
    expect(editText("a b a", "it", edits)).toBe("x y x");
  });

  it("says which text is not there", () => {
    expect(() => editText("a", "The file", [["b", "y"]])).toThrow("The file does not have the text");
  });
});

describe("indent", () => {
  it("leaves empty lines empty", () => {
    expect(indent("a:\n\n  b\n", 2)).toBe("  a:\n\n    b");
  });
});

describe("completeDeployment", () => {
  it("does not take a template that it does not know", () => {
    expect(() => completeDeployment("kind: Deployment\n", "watcher", "hash")).toThrow(/template of watcher/);
  });
});

describe("webhookTemplate", () => {
  it("takes values, and nothing else, from the values", () => {
    const template = webhookTemplate({
      kind: "ValidatingWebhookConfiguration",
      webhooks: [
        {
          failurePolicy: "Ignore",
          timeoutSeconds: 10,
          namespaceSelector: { matchExpressions: [{ key: "name", operator: "NotIn", values: ["kube-system"] }] },
          // Pepr's own template has the value of webhookTimeout in the place of each "10".
          clientConfig: { caBundle: "a10b", service: { path: "/validate/10" } },
        } as never,
      ],
    });
    expect(template.match(/\{\{.*?\}\}/g)).toEqual([
      "{{ .Values.admission.failurePolicy }}",
      "{{ .Values.admission.webhookTimeout }}",
      "{{- range .Values.additionalIgnoredNamespaces }}",
      "{{ . }}",
      "{{- end }}",
    ]);
    expect(template).toContain("caBundle: a10b");
  });
});
