import type { Manifest } from '../../shared/bundle/format.ts';
import { parseManifest } from '../../shared/bundle/manifest.ts';
import type { ObjectOrigin } from './objects.ts';

/**
 * The manifest of the node's `declarative_config`, packed by the host. Unsigned, since the node's owner wrote it: it
 * serves only where nothing signed was ever had. Throws what is wrong with it.
 */
export async function declarativeManifest(declarative: Fetcher): Promise<Manifest> {
  const response = await declarative.fetch('http://declarative/manifest');
  if (response.status !== 200) throw new Error(`declarative_config: ${await response.text()}`);
  return parseManifest(await response.json());
}

/** The objects of the node's `declarative_config`. */
export function declarativeOrigin(declarative: Fetcher): ObjectOrigin {
  return {
    name: 'declarative_config',
    async get(name) {
      const response = await declarative.fetch(`http://declarative/objects/${name}`);
      if (response.status === 200) return new Uint8Array(await response.arrayBuffer());
      await response.body?.cancel();
      return null;
    },
  };
}
