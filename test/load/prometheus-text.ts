/** What a process tells a Prometheus at one moment. */
export interface ScrapedMetrics {
  /** Lines with a value. */
  readonly series: number;
  /** The value of a metric without labels. @throws when there is none */
  readonly value: (name: string) => number;
}

/** Scrapes the /metrics of a replica, over a connection that does not stay. @throws when it does not answer 200 */
export async function readMetrics(url: string): Promise<ScrapedMetrics> {
  const response = await fetch(`${url}/metrics`, { headers: { connection: "close" } });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`/metrics was answered ${response.status}: ${text.slice(0, 200)}`);
  const lines = text.split("\n").filter(line => line !== "" && !line.startsWith("#"));
  return {
    series: lines.length,
    value(name) {
      const line = lines.find(one => one.startsWith(`${name} `));
      if (line === undefined) throw new Error(`/metrics has no ${name}`);
      return Number(line.slice(name.length + 1));
    },
  };
}
