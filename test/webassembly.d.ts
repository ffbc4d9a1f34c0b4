/** What tests use of it, beside what `cp/lua/webassembly.d.ts` tells. */
declare namespace WebAssembly {
  namespace Module {
    function imports(module: Module): readonly object[];
    function exports(module: Module): readonly object[];
    function customSections(module: Module, name: string): readonly ArrayBuffer[];
  }
  class RuntimeError extends Error {}
  const Table: new (description: { initial: number; maximum: number; element: 'anyfunc' }) => Table;
  const Memory: new (description: { initial: number }) => Memory;
}
