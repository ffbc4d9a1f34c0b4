import { LIMITS } from '../../shared/bundle/format.ts';
import { isLoopbackOrigin } from '../../shared/loopback-origin.ts';
import type { ObjectOrigin } from '../config/objects.ts';
import type { Env } from '../env.ts';
import { bytesAtMost } from '../http/at-most.ts';

/** One control plane: `path` is what follows the host. */
export interface ControlPlane {
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

/** How one is reached. */
type Way = Pick<Fetcher, 'fetch'>;

/** Without a binding: by URL. */
const UNBOUND: Way = { fetch: (input, init) => fetch(input, init) };

/** On own hosts the binding decides where a request goes and whom it trusts; the URL's host is only a name. */
const ANY_ORIGIN = 'https://control-plane';

/** The control planes, in the order of `cluster_control_plane`. */
export function controlPlanes(env: Env): readonly ControlPlane[] {
  const { controlPlanes: count, controlPlaneOrigins: origins, developmentLink = false } = env.SETTINGS;
  return bound(count, origins, (place) => {
    if (developmentLink) return isLoopbackOrigin(origins?.[place - 1]) ? UNBOUND : undefined;
    return place === 1 ? env.CONTROL_PLANE : env[`CONTROL_PLANE_${place}`];
  });
}

/** Where telemetry goes, in the order of `cluster_telemetry_endpoint`. */
export function telemetryEndpoints(env: Env): readonly ControlPlane[] {
  const { endpoints = 0, origins } = env.SETTINGS.telemetry ?? {};
  return bound(endpoints, origins, (place) => (place === 1 ? env.TELEMETRY : env[`TELEMETRY_${place}`]));
}

function bound(
  count: number,
  origins: readonly string[] | undefined,
  bindingOf: (place: number) => Way | undefined,
): readonly ControlPlane[] {
  const planes: ControlPlane[] = [];
  for (let place = 1; place <= count; place++) {
    const binding = bindingOf(place);
    if (binding === undefined) continue;
    const origin = origins?.[place - 1] ?? ANY_ORIGIN;
    planes.push({ fetch: (path, init) => fetchAgain(binding, origin + path, init) });
  }
  return planes;
}

/**
 * A kept-alive connection that the other side has closed meanwhile fails like a dead control plane does; a second try
 * tells them apart. Everything said to a control plane may be said twice.
 */
async function fetchAgain(binding: Way, url: string, init?: RequestInit): Promise<Response> {
  try {
    return await binding.fetch(url, init);
  } catch (error) {
    if (!(error instanceof Error && 'retryable' in error && error.retryable === true)) throw error;
    return binding.fetch(url, init);
  }
}

/** Milliseconds a control plane has for one object. */
const OBJECT_TIMEOUT = 20_000;

/** A control plane as the place objects come from. */
export function controlPlaneOrigin(plane: ControlPlane): ObjectOrigin {
  return {
    name: 'control plane',
    async get(name) {
      const response = await plane.fetch(`/v1/objects/${name}`, {
        signal: AbortSignal.timeout(OBJECT_TIMEOUT),
      });
      // Compressed bytes are never many more than inflated ones.
      if (response.status === 200) return bytesAtMost(response, LIMITS.object);
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
