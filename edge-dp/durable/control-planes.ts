import { type Bytes, LIMITS } from '../../shared/bundle/format.ts';
import type { ObjectOrigin } from '../config/objects.ts';
import type { Env } from '../env.ts';

/** The host name requests to a control plane carry; the binding decides where they go and whom they trust. */
export const CONTROL_PLANE_URL = 'https://control-plane';

/** The bindings to control planes, in the order of `cluster_control_plane`. */
export function controlPlanes(env: Env): readonly Fetcher[] {
  const planes: Fetcher[] = [];
  for (let position = 1; position <= env.SETTINGS.controlPlanes; position++) {
    const plane = position === 1 ? env.CONTROL_PLANE : env[`CONTROL_PLANE_${position}`];
    if (plane !== undefined) planes.push(plane);
  }
  return planes;
}

/** Milliseconds a control plane has for one object. */
const OBJECT_TIMEOUT = 20_000;

/** A control plane as the place objects come from. */
export function controlPlaneOrigin(plane: Fetcher): ObjectOrigin {
  return {
    name: 'control plane',
    async get(name) {
      const response = await plane.fetch(`${CONTROL_PLANE_URL}/v1/objects/${name}`, {
        signal: AbortSignal.timeout(OBJECT_TIMEOUT),
      });
      if (response.status === 200) return readAtMost(response, LIMITS.object);
      await response.body?.cancel();
      if (response.status === 404) return null;
      throw new Error(`it answered ${response.status}`);
    },
  };
}

/** The objects that came with a manifest: base64 of gzip by name. */
export function inlineOrigin(objects: Readonly<Record<string, string>>): ObjectOrigin {
  return {
    name: 'manifest message',
    async get(name) {
      const base64 = objects[name];
      return base64 === undefined ? null : Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    },
  };
}

/** Compressed bytes are never many more than inflated ones; a stream that does not end must not fill the memory. */
async function readAtMost(response: Response, limit: number): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > limit) throw new Error(`it sent more than ${limit} bytes`);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
