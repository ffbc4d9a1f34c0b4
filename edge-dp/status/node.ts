import type { LiveConfig } from '../config/live.ts';
import { json, type StatusRequest, type StatusRoute } from './routes.ts';

/** Set by `POST /status/ready`, for as long as the process lives. */
let draining = false;

/** `/status` and `/status/ready` as on a Kong data plane: no database, but the hash of the config requests see. */
export const nodeRoutes: readonly StatusRoute[] = [
  { path: new URLPattern({ pathname: '/status' }), GET: status },
  { path: new URLPattern({ pathname: '/status/ready' }), GET: ready, POST: drain },
];

/** What Kong shows while there is no config. */
const NO_CONFIG_HASH = '0'.repeat(32);

function status({ live, env }: StatusRequest): Response {
  return json({
    configuration_hash: live.configHash ?? NO_CONFIG_HASH,
    configuration_serial: live.serial,
    configuration_source: live.source,
    node_id: env.SETTINGS.node.id,
  });
}

function ready({ live }: StatusRequest): Response {
  const config = { serial: live.serial, configuration_hash: live.configHash ?? NO_CONFIG_HASH };
  const reason = unready(live);
  return reason === null ? json({ message: 'ready', ...config }) : json({ message: reason, ...config }, 503);
}

function unready(live: LiveConfig): string | null {
  if (draining) return 'draining';
  return live.serial === null ? 'no configuration available (empty configuration present)' : null;
}

/** `status=draining` as a form or JSON: from then on load balancers see 503 and send their traffic elsewhere. */
async function drain({ request }: StatusRequest): Promise<Response> {
  const wanted = await statusField(request);
  if (wanted !== 'draining') return json({ message: "status: expected 'draining'" }, 400);
  draining = true;
  return new Response(null, { status: 204 });
}

async function statusField(request: Request): Promise<unknown> {
  const text = await request.text();
  if (!request.headers.get('content-type')?.includes('json')) return new URLSearchParams(text).get('status');
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null && 'status' in body ? body.status : null;
  } catch {
    return null;
  }
}
