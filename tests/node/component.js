// Runs a component in Node: jco turns it into a JavaScript module and core modules, without files.

import { transpile } from "@bytecodealliance/jco-transpile";
import { WASIShim } from "@bytecodealliance/preview2-shim/instantiation";

/**
 * Transpiles the component at `path` once. Returns a function that instantiates it with the given
 * imports, named as in WIT without the version: `{ "countersign:license/store": { get, … }, … }`.
 * WASI is added to them.
 */
export async function load(path) {
  const { files } = await transpile(path, { name: "component", instantiation: "async", emitTypescriptDeclarations: false });
  const file = (name) => Object.entries(files).find(([path]) => path.endsWith(name))[1];
  const source = Buffer.from(file("component.js")).toString("base64");
  const { instantiate } = await import(`data:text/javascript;base64,${source}`);
  const wasi = new WASIShim({ sandbox: { preopens: {}, env: {}, args: [], enableNetwork: false } }).getImportObject();
  return (imports) => instantiate((name) => WebAssembly.compile(file(name)), { ...wasi, ...imports });
}
