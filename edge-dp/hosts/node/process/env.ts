import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Environment } from '../../environment.ts';
import { controlPlaneFetcher } from '../bindings/control-plane.ts';
import { openDatabase } from '../bindings/database.ts';
import { type DurableClass, DurableNamespace } from '../bindings/durable-objects.ts';
import { prepareDurableStorage } from '../bindings/durable-storage.ts';
import { SqliteKv } from '../bindings/kv.ts';
import { type NodeBinding, otherNode, ownNode } from '../bindings/node-service.ts';
import { ownEgress } from '../bindings/own-egress.ts';
import type { ProcessPlan } from '../plan.ts';
import { connect } from '../runtime/sockets.ts';
import { createOutward } from '../upstream/outward.ts';
import type { WorkerModule } from './worker-module.ts';

/** The Worker's bindings in this process (`edge-dp/env.ts`), and the Durable Objects that live in it. */
export async function makeEnv(
  worker: WorkerModule,
  plan: ProcessPlan,
  first: boolean,
): Promise<{
  readonly env: Readonly<Record<string, unknown>>;
  /** `NODE`. */
  readonly node: NodeBinding;
  readonly namespaces: readonly DurableNamespace[];
}> {
  const { folder, dns, trust } = plan;
  const secrets = { ...plan.secrets, variables: { ...process.env, ...plan.secrets.variables } };
  const egress = await ownEgress(join(dirname(plan.nodeSocket), `egress-${process.pid}.sock`), {
    folder,
    dns,
    trust,
    environment: new Environment(secrets),
  });
  const env: Record<string, unknown> = {
    SETTINGS: plan.settings,
    KV: new SqliteKv(openDatabase(join(plan.storage, 'kv'), 'kv')),
    NETWORK: { fetch: unused, connect },
    EGRESS: egress,
    TUNNEL: egress,
    OUTWARD: createOutward(plan.dns, trust),
    ...controlPlanes(plan),
    ...telemetryEndpoints(plan),
    ...(plan.declarative !== null && { DECLARATIVE: filesOf(plan.declarative) }),
    ...(plan.fallback !== null && { FALLBACK: filesOf(plan.fallback) }),
  };
  const { NodeService } = worker;
  if (!first || NodeService === undefined) {
    const node = otherNode(plan.nodeSocket);
    return { env: { ...env, NODE: node }, node, namespaces: [] };
  }

  const node = ownNode((request) => new NodeService({ waitUntil }, env).fetch(request));
  env.NODE = node;
  const database = openDatabase(plan.storage, 'durable-objects');
  prepareDurableStorage(database);
  const namespaces: DurableNamespace[] = [];
  for (const [binding, name] of Object.entries(DURABLE_OBJECTS)) {
    const make: DurableClass | undefined = worker[name];
    if (make === undefined) continue;
    const namespace = new DurableNamespace(name, make, env, database);
    env[binding] = namespace;
    if (binding === 'LINK') env.OWNER = () => namespace.instance(plan.settings.node.id);
    namespaces.push(namespace);
  }
  return { env, node, namespaces };
}

/** Class names are part of where their data lies: never change one. */
const DURABLE_OBJECTS = { LINK: 'ClusterLink', HEALTH: 'HealthChecker', STATE: 'NodeState' } as const;

/** `CONTROL_PLANE`, `CONTROL_PLANE_2`, … */
function controlPlanes({ controlPlanes, clusterTls, forwardProxy }: ProcessPlan): Readonly<Record<string, unknown>> {
  if (controlPlanes.length === 0) return {};
  if (clusterTls === null) throw new Error('cluster_control_plane needs cluster_cert and cluster_cert_key');
  const entries = controlPlanes.map((controlPlane, place) => [
    place === 0 ? 'CONTROL_PLANE' : `CONTROL_PLANE_${place + 1}`,
    controlPlaneFetcher(controlPlane, clusterTls, forwardProxy),
  ]);
  return Object.fromEntries(entries);
}

/** `TELEMETRY`, `TELEMETRY_2`, … */
function telemetryEndpoints({ telemetry, clusterTls, forwardProxy }: ProcessPlan): Readonly<Record<string, unknown>> {
  if (telemetry === null) return {};
  if (clusterTls === null) throw new Error('cluster_telemetry_endpoint needs cluster_cert and cluster_cert_key');
  const tls = { ...clusterTls, serverName: telemetry.serverName };
  const entries = telemetry.endpoints.map((endpoint, place) => [
    place === 0 ? 'TELEMETRY' : `TELEMETRY_${place + 1}`,
    controlPlaneFetcher(endpoint, tls, forwardProxy),
  ]);
  return Object.fromEntries(entries);
}

/** Files of a folder by the paths of URLs. */
function filesOf(path: string): { fetch(url: string): Promise<Response> } {
  return {
    async fetch(url) {
      const content = await readFile(join(path, new URL(url).pathname)).catch(() => null);
      return content === null ? new Response(null, { status: 404 }) : new Response(content);
    },
  };
}

/** Requests go out by `OUTWARD`. */
function unused(): Promise<never> {
  return Promise.reject(new Error('this host sends requests by itself'));
}

function waitUntil(work: Promise<unknown>): void {
  work.catch((error: unknown) => console.error('work of the node failed:', error));
}
