import { STATE_WORDS } from "../capabilities/status/published";
import type { ModelVersionKey } from "../capabilities/support/model-version-key";
import type { Filter } from "./listing";

/** What of the page is shown, as the hash of its address has it: so it can be linked, and the browser's Back works. */
export type Place =
  | { readonly view: "versions"; readonly filter: Filter }
  | { readonly view: "version"; readonly key: ModelVersionKey }
  | { readonly view: "module" | "changes" };

/** What a hash stands for; all versions for one that stands for nothing. */
export function placeOf(hash: string): Place {
  const [path = "", text = ""] = hash.replace(/^#/, "").split(/\?(.*)/s, 2);
  const query = new URLSearchParams(text);
  if (path === "/module") return { view: "module" };
  if (path === "/changes") return { view: "changes" };
  const [model, version] = [query.get("model"), query.get("version")];
  if (path === "/version" && model !== null && version !== null) return { view: "version", key: { model, version } };
  const wanted = (query.get("state") ?? "").split(",");
  const filter: Filter = {
    search: query.get("search") ?? "",
    states: STATE_WORDS.filter(word => wanted.includes(word)),
    namespace: query.get("namespace") ?? "",
  };
  return { view: "versions", filter };
}

/** The hash of a place. */
export function hashOf(place: Place): string {
  switch (place.view) {
    case "versions": {
      const { search, states, namespace } = place.filter;
      const query = new URLSearchParams();
      if (search !== "") query.set("search", search);
      if (states.length > 0) query.set("state", states.join(","));
      if (namespace !== "") query.set("namespace", namespace);
      return query.size === 0 ? "#/" : `#/?${query.toString()}`;
    }
    case "version": {
      const { model, version } = place.key;
      return `#/version?${new URLSearchParams({ model, version }).toString()}`;
    }
    case "module":
    case "changes":
      return `#/${place.view}`;
  }
}
