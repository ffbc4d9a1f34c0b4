import type { Plugin } from 'esbuild';
import { moduleFile } from './module-file.ts';

/** What plugins import of this project, whatever folder they are in. */
const KITS: Readonly<Record<string, string>> = {
  'holdfast/schema': moduleFile('../../shared/plugins/kit', import.meta.url),
  'holdfast/handler': moduleFile('../plugins/kit', import.meta.url),
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
