// To be imported before the module's code by programs that run without a bundle: there, templates are text (esbuild's
// loader for .txt), and Node by itself would take them for JavaScript.
import { readFileSync } from "node:fs";
import Module from "node:module";

interface Loading {
  readonly _extensions: Record<string, (module: { exports: unknown }, file: string) => void>;
}

(Module as unknown as Loading)._extensions[".txt"] = (module, file) => {
  module.exports = readFileSync(file, "utf8");
};
