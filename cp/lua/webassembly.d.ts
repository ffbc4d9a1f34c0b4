/** What Node has of WebAssembly and its types do not tell. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: NodeJS.ArrayBufferView);
  }
  class Instance {
    constructor(module: Module, imports?: object);
    readonly exports: Record<string, unknown>;
  }
  interface Memory {
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  interface Table {
    get(at: number): (...values: number[]) => unknown;
    set(at: number, value: unknown): void;
    grow(by: number): number;
  }
}
