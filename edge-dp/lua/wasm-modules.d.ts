/** A WebAssembly file is imported as its compiled module, on workerd, Miniflare and Cloudflare alike. */
declare module '*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}
