import type { ConfigLoader } from '../admin/config-loader.ts';
import { catalogOf } from '../store/catalog.ts';
import { schemas } from '../store/schemas.ts';
import type { Store } from '../store/store.ts';
import { InvalidDeclarativeConfig, importConfig, parseConfig } from './import.ts';

/** `POST /config`: the document becomes the workspace's whole config, as one serial. */
export function configLoader(store: Store): ConfigLoader {
  const { context } = catalogOf(schemas);
  return {
    async load(name, document, { flattenErrors }) {
      const workspace = await store.workspace(name);
      if (!workspace) throw new Error(`there is no workspace '${name}'`);
      const config = await parseConfig(document, context).catch((error) => {
        throw flattenErrors && error instanceof InvalidDeclarativeConfig ? error.flattened() : error;
      });
      await importConfig(workspace, config, { mode: 'replace', context });
      const answer: Record<string, Record<string, unknown>> = {};
      for (const [entity, rows] of config.entities) {
        answer[entity] = Object.fromEntries([...rows].map(([id, { row }]) => [id, row]));
      }
      return answer;
    },
  };
}
