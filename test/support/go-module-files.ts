import { tmpdir } from "node:os";
import { run } from "../testbed/commands";

/**
 * The folder with the files of a Go module, fetched once from the Go module proxy and kept where Go keeps modules. Projects
 * whose program is in Go publish their CRDs and example manifests with it; the version pins them, and Go's checksum
 * database vouches for them.
 *
 * @param module its path, for example github.com/prometheus-operator/prometheus-operator
 * @param version for example v0.85.0
 * @returns an absolute path; nothing in it may be changed
 * @throws Error when go is not installed, or there is no such version
 */
export async function moduleDirectory(module: string, version: string): Promise<string> {
  const { stdout } = await run("go", ["mod", "download", "-json", `${module}@${version}`], {
    // Outside of any module, whose go.mod would have a say.
    directory: tmpdir(),
    environment: { ...process.env, GOWORK: "off", GOFLAGS: "" },
  });
  return (JSON.parse(stdout) as { Dir: string }).Dir;
}
