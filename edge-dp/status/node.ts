import type { ManifestSplit } from '../../shared/bundle/split.ts';
import { type Row, recordOrEmpty } from '../../shared/record.ts';
import type { LiveConfig } from '../config/live.ts';
import { NodeClient } from '../config/node.ts';
import type { Env } from '../env.ts';
import { json, type StatusRequest, type StatusRoute } from './routes.ts';

/** Set by `POST /status/ready`, for as long as the process lives. */
let draining = false;

/** `/status` and `/status/ready` as on a Kong data plane: no database, but the hash of the config requests see. */
export const nodeRoutes: readonly StatusRoute[] = [
  { path: '/status', GET: status },
  { path: '/status/ready', GET: ready, POST: drain },
];

/** What Kong shows while there is no config. */
const NO_CONFIG_HASH = '0'.repeat(32);

async function status({ live, env, isolate }: StatusRequest): Promise<Response> {
  return json({
    configuration_hash: live.configHash ?? NO_CONFIG_HASH,
    configuration_serial: live.serial,
    configuration_source: live.source,
    configuration_withheld: await withheld(env),
    node_id: env.SETTINGS.node.id,
    unresolved_references: isolate.current.vaults(env).unresolved,
    ...(live.split !== null && { configuration_split: splitOf(live.split) }),
  });
}

/** The release that is tried on a part of the requests. */
function splitOf({ release, percent, by, config_hash }: ManifestSplit) {
  return { release, percent, by, configuration_hash: config_hash };
}

/** Why this node has no newer config; null: it has the newest, or the owner of the link does not say. */
async function withheld(env: Env): Promise<string | null> {
  const link = await new NodeClient(env).link().catch(() => null);
  return link?.withheld ?? null;
}

/** A node that newer config is withheld from stays ready: it serves the config it has, and its neighbours have no other. */
async function ready({ live, env, isolate }: StatusRequest): Promise<Response> {
  const reasonWithheld = await withheld(env);
  const { unresolved } = isolate.current.vaults(env);
  const config = {
    serial: live.serial,
    configuration_hash: live.configHash ?? NO_CONFIG_HASH,
    ...(reasonWithheld === null ? {} : { configuration_withheld: reasonWithheld }),
    ...(unresolved.length === 0 ? {} : { unresolved_references: unresolved }),
  };
  const reason = unready(live, env);
  return reason === null ? json({ message: 'ready', ...config }) : json({ message: reason, ...config }, 503);
}

function unready(live: LiveConfig, { SETTINGS }: Env): string | null {
  if (draining) return 'draining';
  const given = live.serial !== null && (live.serial > 0 || SETTINGS.status.awaitsConfig !== true);
  return given ? null : 'no configuration available (empty configuration present)';
}

/**
 * `status=draining` as a form or JSON: from then on load balancers see 503 and send their traffic elsewhere, and what plugins
 * send goes out at once. With `wait=true` the answer ends when all of it is out; its head comes at once.
 */
async function drain({ request, live, waitUntil }: StatusRequest): Promise<Response> {
  const { status, wait } = await fieldsOf(request);
  if (status !== 'draining') return json({ message: "status: expected 'draining'" }, 400);
  draining = true;
  live.path.finish();
  if (wait !== 'true' && wait !== true) return new Response(null, { status: 204 });
  const { readable, writable } = new TransformStream();
  waitUntil(finished(live, writable));
  return new Response(readable);
}

/** Milliseconds between two looks for what is not out yet. */
const LOOK_AGAIN = 20;

async function finished({ path }: LiveConfig, writable: WritableStream): Promise<void> {
  while (path.finish() > 0) await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN));
  await writable.close().catch(() => undefined);
}

async function fieldsOf(request: Request): Promise<Readonly<Row>> {
  const text = await request.text();
  if (!request.headers.get('content-type')?.includes('json')) return Object.fromEntries(new URLSearchParams(text));
  try {
    return recordOrEmpty(JSON.parse(text));
  } catch {
    return {};
  }
}
