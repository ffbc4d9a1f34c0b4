import { isLoopbackOrigin } from '../../shared/loopback-origin.ts';
import type { Env } from '../env.ts';

/** Ids that stand for "to be filled in", and the name in examples. */
const ZEROS = /^0+(?:-0+)*(?:-4000-8000-0+)?$/;
const EXAMPLE = /(?:^|\.)example\.(?:com|net|org)$/;

/** The bindings without which no request can be served, and where their ids are to be had. */
const BINDINGS = {
  KV: "kv_namespaces, by 'wrangler kv namespace create'",
  LINK: 'durable_objects',
  HEALTH: 'durable_objects',
  STATE: 'durable_objects',
  NODE: 'services',
} as const;

/**
 * What is still to be filled in of a Worker's configuration for Cloudflare, each with its place; empty: nothing. Who deploys it meets
 * no host of this project, which would refuse to start.
 */
export function unfinished(env: Env): readonly string[] {
  const {
    cluster,
    trustedKeys,
    controlPlanes,
    controlPlaneOrigins = [],
    developmentLink = false,
    node,
    status,
  } = env.SETTINGS;
  const found: string[] = [];
  if (typeof cluster !== 'string' || ZEROS.test(cluster)) found.push('SETTINGS.cluster: the id of the cluster');
  if (trustedKeys.length === 0) found.push('SETTINGS.trustedKeys: the public keys that bundles are signed with');
  if (ZEROS.test(node.id)) found.push('SETTINGS.node.id: a UUID of its own');
  for (let place = 0; place < Math.max(controlPlanes, 1); place++) {
    const origin = controlPlaneOrigins[place];
    const fault = developmentLink ? developmentFault(origin) : originFault(origin);
    if (fault !== null) found.push(`SETTINGS.controlPlaneOrigins[${place}]: ${fault}`);
    const binding = place === 0 ? 'CONTROL_PLANE' : (`CONTROL_PLANE_${place + 1}` as const);
    if (!developmentLink && env[binding] === undefined) {
      found.push(`binding ${binding}: mtls_certificates, by 'wrangler cert upload mtls-certificate'`);
    }
  }
  for (const [binding, where] of Object.entries(BINDINGS)) {
    if (env[binding as keyof typeof BINDINGS] === undefined) found.push(`binding ${binding}: ${where}`);
  }
  if (status.path !== undefined && !env.STATUS_TOKEN) {
    found.push("secret STATUS_TOKEN: for SETTINGS.status.path, by 'wrangler secret put STATUS_TOKEN'");
  }
  return found;
}

function developmentFault(origin: string | undefined): string | null {
  return isLoopbackOrigin(origin)
    ? null
    : "cluster_dev_listen of a control plane on this machine, as in 'http://127.0.0.1:8007': SETTINGS.developmentLink is for nothing else";
}

function originFault(origin: string | undefined): string | null {
  const url = origin === undefined ? null : URL.parse(origin);
  if (url === null || url.protocol !== 'https:')
    return "cluster_listen of the control plane, as in 'https://cp.my-domain:8005'";
  return EXAMPLE.test(url.hostname) ? `'${url.hostname}' is nobody's name` : null;
}
