import { MANAGED_BY, MANAGED_BY_LABEL } from "../../../capabilities/kserve/identity";
import { collectionOf, expectSuccess } from "../bare-client";
import type { BareClient } from "../bare-client";

/** Objects in a page, as the module asks for them. */
const [MLFLOW_PAGE, API_SERVER_PAGE] = [1000, 500];

/** MLflow's search for versions, all pages, and nothing done with what it found. @returns how many */
export async function searchBare(mlflow: BareClient, filter: string): Promise<number> {
  let [found, token] = [0, ""];
  do {
    const query = new URLSearchParams({ filter, max_results: String(MLFLOW_PAGE) });
    if (token !== "") query.set("page_token", token);
    const answer = await mlflow.send({
      method: "GET",
      path: `/api/2.0/mlflow/model-versions/search?${query.toString()}`,
    });
    expectSuccess("model-versions/search", answer);
    const page = JSON.parse(answer.text) as { model_versions?: unknown[]; next_page_token?: string };
    found += page.model_versions?.length ?? 0;
    token = page.next_page_token ?? "";
  } while (token !== "");
  return found;
}

/** The API server's list of our services, all pages, and nothing done with it. @returns how many */
export async function listBare(apiServer: BareClient, namespace: string): Promise<number> {
  let [found, token] = [0, ""];
  do {
    const query = new URLSearchParams({
      labelSelector: `${MANAGED_BY_LABEL}=${MANAGED_BY}`,
      limit: String(API_SERVER_PAGE),
    });
    if (token !== "") query.set("continue", token);
    const answer = await apiServer.send({ method: "GET", path: `${collectionOf(namespace)}?${query.toString()}` });
    expectSuccess("The list of InferenceServices", answer);
    const page = JSON.parse(answer.text) as { items: unknown[]; metadata: { continue?: string } };
    found += page.items.length;
    token = page.metadata.continue ?? "";
  } while (token !== "");
  return found;
}
