import { isBuiltin } from 'node:module';
import type { Plugin } from 'esbuild';

const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/**
 * Modules of Node's as they are, not as ES modules: for one of those Node reads all that a module exports, and with `node:http` all of its
 * Fetch, which is half of what a process loads and nothing that the first requests need.
 */
export const builtinModules: Plugin = {
  name: 'builtin modules',
  setup(building) {
    building.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' && isBuiltin(path) ? { path, namespace: 'builtin', sideEffects: false } : undefined,
    );
    building.onLoad({ filter: /^/, namespace: 'builtin' }, ({ path }) => ({ contents: source(path), loader: 'js' }));
  },
};

/** What nobody imports of it is left out. */
function source(path: string): string {
  const builtin = `process.getBuiltinModule('${path}')`;
  const names = Object.keys(process.getBuiltinModule(path) ?? {}).filter((name) => NAME.test(name));
  const lines = names
    .filter((name) => name !== 'default')
    .map((name) => `const own_${name} = /* @__PURE__ */ of('${name}');\nexport { own_${name} as ${name} };`);
  return [`const of = (name) => ${builtin}[name];`, ...lines, `export default /* @__PURE__ */ ${builtin};`].join('\n');
}
