import { join } from "node:path";
import { goBinaries } from "./go-binaries";

const PATH = "github.com/prometheus/prometheus/cmd";

/** The programs of a Prometheus: absolute paths. */
export interface PrometheusPrograms {
  readonly prometheus: string;
  readonly promtool: string;
}

/** Builds Prometheus, without its web page, or finds it in the cache. */
export async function prometheusPrograms(
  progress: (message: string) => void = () => undefined,
): Promise<PrometheusPrograms> {
  const programs = ["prometheus", "promtool"].map(binary => ({ packagePath: `${PATH}/${binary}`, binary }));
  const directory = await goBinaries({ module: "prometheus", programs }, progress);
  return { prometheus: join(directory, "prometheus"), promtool: join(directory, "promtool") };
}
