/** Versions in a page: so few that a handful of versions takes several pages. */
const PAGE_SIZE = "3";

/**
 * Changes the address of a search so that it is answered in small pages. MLflow may give fewer versions than were asked
 * for; by itself it does so only for thousands, which no short run has.
 */
export function inSmallPages(path: string): string {
  if (!path.includes("model-versions/search")) return path;
  const url = new URL(path, "http://mlflow");
  url.searchParams.set("max_results", PAGE_SIZE);
  return url.pathname + url.search;
}
