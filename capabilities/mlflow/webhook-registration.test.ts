import { describe, expect, it } from "vitest";
import { rejectionOf } from "../../test/support/unit/outcomes";
import { MlflowError } from "./errors";
import type { MlflowCall, MlflowTransport } from "./transport";
import { descriptionFor } from "./webhook-ownership";
import { registerWebhook, removeWebhook, testWebhook } from "./webhook-registration";

interface Webhook {
  readonly webhook_id: string;
  readonly name: string;
  readonly url: string;
  readonly creation_timestamp: number;
  readonly description?: string;
  readonly events?: typeof SETTINGS.events;
  readonly last_updated_timestamp?: number;
}

const URL = "https://module.example.com/webhook";
const REGISTRATION = { name: "mlflow-kserve", url: URL, installation: "here", secret: "geheim" };
const SETTINGS = {
  name: "mlflow-kserve",
  description: descriptionFor("here"),
  url: URL,
  secret: "geheim",
  events: [
    { entity: "MODEL_VERSION_TAG", action: "SET" },
    { entity: "MODEL_VERSION_TAG", action: "DELETED" },
    { entity: "MODEL_VERSION", action: "CREATED" },
    { entity: "MODEL_VERSION_ALIAS", action: "CREATED" },
    { entity: "MODEL_VERSION_ALIAS", action: "DELETED" },
  ],
  status: "ACTIVE",
};

function webhook(id: string, created: number, changes: Partial<Webhook> = {}): Webhook {
  return { webhook_id: id, name: "mlflow-kserve", url: URL, creation_timestamp: created, ...changes };
}

/** MLflow's webhooks, one a page, and the calls that change them. */
function mlflowWith(...webhooks: readonly Webhook[]): {
  readonly transport: MlflowTransport;
  readonly changes: MlflowCall[];
} {
  const changes: MlflowCall[] = [];
  const transport: MlflowTransport = call => {
    if (call.method === "GET") {
      const page = Number(call.query?.page_token ?? "0");
      const next = page + 1 < webhooks.length ? { next_page_token: String(page + 1) } : {};
      return Promise.resolve({ webhooks: webhooks.slice(page, page + 1), ...next });
    }
    changes.push(call);
    return Promise.resolve(call.method === "POST" ? { webhook: webhook("new", 9) } : {});
  };
  return { transport, changes };
}

describe("registerWebhook", () => {
  it("creates the webhook when there is none of its name", async () => {
    const { transport, changes } = mlflowWith(webhook("other", 1, { name: "audit" }));
    expect(await registerWebhook(transport, REGISTRATION)).toMatchObject({ id: "new", action: "created" });
    expect(changes).toEqual([{ method: "POST", path: "webhooks", body: SETTINGS }]);
  });

  it("sets everything again on the one that exists, its secret and status too, on whatever page it is", async () => {
    const { transport, changes } = mlflowWith(
      webhook("other", 1, { name: "audit" }),
      webhook("a/b", 2, { url: "http://old", name: "old", description: descriptionFor("here") }),
    );
    expect(await registerWebhook(transport, REGISTRATION)).toMatchObject({ id: "a/b", action: "updated" });
    expect(changes).toEqual([{ method: "PATCH", path: "webhooks/a%2Fb", body: SETTINGS }]);
  });

  it.each([[[webhook("young", 20), webhook("old", 10)]], [[webhook("old", 10), webhook("young", 20)]]])(
    "keeps the oldest of several, whatever their order, so that replicas choose the same (%#)",
    async webhooks => {
      const { transport, changes } = mlflowWith(...webhooks);
      expect(await registerWebhook(transport, REGISTRATION)).toMatchObject({ id: "old", action: "updated" });
      expect(changes.map(({ method, path }) => [method, path])).toEqual([
        ["PATCH", "webhooks/old"],
        ["DELETE", "webhooks/young"],
      ]);
    },
  );

  it("chooses by id among webhooks of the same moment", async () => {
    const { transport } = mlflowWith(webhook("b", 1), webhook("a", 1));
    expect((await registerWebhook(transport, REGISTRATION)).id).toBe("a");
  });

  it("leaves others' webhooks alone, whatever their name and URL, and makes its own", async () => {
    const others = [
      webhook("unmarked", 1, { url: "https://other/webhook" }),
      webhook("theirs", 2, { description: descriptionFor("there") }),
      webhook("elsewhere", 3, { description: descriptionFor("there"), url: "https://other/webhook" }),
      webhook("audit", 4, { name: "audit", url: "https://audit/" }),
    ];
    const { transport, changes } = mlflowWith(...others);
    const { id, strangers } = await registerWebhook(transport, REGISTRATION);
    expect(id).toBe("new");
    expect(changes).toEqual([{ method: "POST", path: "webhooks", body: SETTINGS }]);
    expect(strangers.map(({ webhook_id: stranger }) => stranger)).toEqual(["unmarked", "theirs", "elsewhere"]);
  });

  it("does not touch what is as it should be unless the secret is to be set again", async () => {
    const { description, events } = SETTINGS;
    const { transport, changes } = mlflowWith(webhook("ours", 1, { description, events, last_updated_timestamp: 7 }));
    expect(await registerWebhook(transport, REGISTRATION, { renewSecret: false })).toMatchObject({
      id: "ours",
      action: "unchanged",
      changedAt: 7,
    });
    expect(changes).toEqual([]);
    expect((await registerWebhook(transport, REGISTRATION)).action).toBe("updated");
  });

  it("makes no second webhook because a list went in circles", async () => {
    const changes: string[] = [];
    const transport: MlflowTransport = ({ method }) => {
      if (method !== "GET") changes.push(method);
      return Promise.resolve({ webhooks: [], next_page_token: "again" });
    };
    expect((await rejectionOf(registerWebhook(transport, REGISTRATION))).message).toBe(
      "the list of webhooks never came to a last page",
    );
    expect(changes).toEqual([]);
  });

  it("ends also when every page has a new token", async () => {
    let page = 0;
    const error = await rejectionOf(
      registerWebhook(() => Promise.resolve({ next_page_token: String(page++) }), REGISTRATION),
    );
    expect(error).toBeInstanceOf(MlflowError);
  });

  it.each([
    ["list", (): unknown => ({ webhooks: "none" })],
    ["creation", ({ method }: MlflowCall): unknown => (method === "GET" ? {} : { id: "x" })],
  ])("fails with an MlflowError on one line when the answer to the %s has another form", async (_, answer) => {
    const error = await rejectionOf(registerWebhook(call => Promise.resolve(answer(call)), REGISTRATION));
    expect(error).toBeInstanceOf(MlflowError);
    expect(error.message).toMatch(/^webhooks was answered in an unknown form: webhooks?: .*$/);
    expect(error.message).not.toContain("geheim");
  });
});

/** A store like MLflow's: what one caller creates, the others see; ids and times count up. */
function sharedMlflow(): { readonly transport: MlflowTransport; readonly held: Map<string, Webhook> } {
  const held = new Map<string, Webhook>();
  let made = 0;
  const transport: MlflowTransport = async ({ method, path }) => {
    await Promise.resolve(); // other callers come between two calls
    const id = path.replace("webhooks/", "");
    if (method === "GET") return { webhooks: [...held.values()] };
    if (method === "POST") {
      const created = webhook(`id-${++made}`, made);
      held.set(created.webhook_id, created);
      return { webhook: created };
    }
    if (!held.has(id)) throw new MlflowError("refused", "not found", "RESOURCE_DOES_NOT_EXIST");
    if (method === "DELETE") held.delete(id);
    return {};
  };
  return { transport, held };
}

describe("replicas that register at once", () => {
  it("end up with the same single webhook", async () => {
    const { transport, held } = sharedMlflow();
    const results = await Promise.all([1, 2, 3].map(() => registerWebhook(transport, REGISTRATION)));
    expect([...held.keys()]).toEqual(["id-1"]);
    expect(results.map(({ id }) => id)).toEqual(["id-1", "id-1", "id-1"]);
  });

  it("do not give up because another one deleted the webhook that was to be updated", async () => {
    const { transport, held } = sharedMlflow();
    let deletions = 0;
    held.set("doomed", webhook("doomed", 0));
    const meddling: MlflowTransport = call => {
      if (call.method === "PATCH" && deletions++ === 0) held.delete("doomed");
      return transport(call);
    };
    expect(await registerWebhook(meddling, REGISTRATION)).toMatchObject({ id: "id-1", action: "created" });
  });

  it("give up when that never ends", async () => {
    const transport: MlflowTransport = ({ method }) =>
      method === "GET"
        ? Promise.resolve({ webhooks: [webhook("ghost", 1)] })
        : Promise.reject(new MlflowError("refused", "not found", "RESOURCE_DOES_NOT_EXIST"));
    expect(await rejectionOf(registerWebhook(transport, REGISTRATION))).toMatchObject({
      code: "RESOURCE_DOES_NOT_EXIST",
    });
  });

  it("prefer the one with their URL to an older one of theirs that leads elsewhere, which goes", async () => {
    const description = descriptionFor("here");
    const { transport, changes } = mlflowWith(
      webhook("former", 1, { url: "http://other", description }),
      webhook("ours", 2),
    );
    expect((await registerWebhook(transport, REGISTRATION)).id).toBe("ours");
    expect(changes.map(({ method, path }) => [method, path])).toEqual([
      ["PATCH", "webhooks/ours"],
      ["DELETE", "webhooks/former"],
    ]);
  });
});

describe("removeWebhook", () => {
  it("takes a webhook that is gone for removed, and nothing else", async () => {
    const { transport } = sharedMlflow();
    await removeWebhook(transport, "nope");
    const broken: MlflowTransport = () => Promise.reject(new MlflowError("unreachable", "down"));
    expect((await rejectionOf(removeWebhook(broken, "nope"))).message).toBe("down");
  });
});

describe("testWebhook", () => {
  it("returns what MLflow says of its delivery, with or without an answer", async () => {
    const calls: MlflowCall[] = [];
    const answers = [
      { result: { success: true, response_status: 200, response_body: "{}" } },
      { result: { error_message: "no" } },
    ];
    const transport: MlflowTransport = call => {
      calls.push(call);
      return Promise.resolve(answers.shift());
    };
    expect(await testWebhook(transport, "a/b")).toEqual({
      success: true,
      response_status: 200,
      response_body: "{}",
      error_message: "",
    });
    expect(await testWebhook(transport, "a/b")).toEqual({ success: false, response_body: "", error_message: "no" });
    expect(calls[0]).toEqual({
      method: "POST",
      path: "webhooks/a%2Fb/test",
      body: { event: { entity: "MODEL_VERSION_TAG", action: "SET" } },
    });
  });
});
