import { fileURLToPath } from 'node:url';
import type { Plugin } from 'esbuild';

/** What plugins import of this project, whatever folder they are in. */
const KITS: Readonly<Record<string, string>> = {
  'holdfast/schema': fileURLToPath(new URL('../../shared/plugins/kit.ts', import.meta.url)),
  'holdfast/handler': fileURLToPath(new URL('../plugins/kit.ts', import.meta.url)),
};

/** Resolves what plugins import of this project. */
export const kits: Plugin = {
  name: 'kits',
  setup(building) {
    building.onResolve({ filter: /^holdfast\// }, ({ path }) => {
      const kit = KITS[path];
      if (kit !== undefined) return { path: kit };
      return { errors: [{ text: `'${path}' is not there: plugins import ${Object.keys(KITS).join(' and ')}` }] };
    });
  },
};
