import { arrayOf, object, string } from '../../shared/bundle/shape.ts';
import type { ObjectOrigin } from '../config/objects.ts';

/** Config that the host has brought from elsewhere, for as long as no control plane gives any. */
interface FallbackOffer {
  readonly keys: readonly string[];
  /** The group this node is of by what the host found. */
  readonly group: string;
  readonly manifest: string;
}

/** Null: there is none yet. Throws what is wrong with it. */
export async function fallbackOffer(fallback: Fetcher): Promise<FallbackOffer | null> {
  const response = await fallback.fetch('http://fallback/bundle.json');
  if (response.status !== 200) {
    await response.body?.cancel();
    return null;
  }
  const read = object(await response.json(), 'fallback config');
  return {
    keys: arrayOf(read.keys, 'keys', string),
    group: string(read.group, 'group'),
    manifest: string(read.manifest, 'manifest'),
  };
}

/** Its objects. */
export function fallbackOrigin(fallback: Fetcher): ObjectOrigin {
  return {
    name: 'fallback config',
    async get(name) {
      const response = await fallback.fetch(`http://fallback/objects/${name}`);
      if (response.status === 200) return new Uint8Array(await response.arrayBuffer());
      await response.body?.cancel();
      return null;
    },
  };
}
