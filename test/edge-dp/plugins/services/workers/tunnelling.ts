import { Isolate } from '../../../../../edge-dp/config/isolate.ts';
import { clusterLink } from '../../../../../edge-dp/durable/cluster-link.ts';
import { healthChecker } from '../../../../../edge-dp/durable/health-checker.ts';
import type { Plugin } from '../../../../../edge-dp/plugins/runtime/plugin.ts';
import { type Connection, ServiceError, type Services } from '../../../../../edge-dp/plugins/runtime/services.ts';
import { createRequestPath } from '../../../../../edge-dp/proxy/create.ts';
import { internet } from '../../../../../edge-dp/proxy/egress/internet.ts';
import { proxyEntrypoint } from '../../../../../edge-dp/proxy/entrypoint.ts';
import { statusEntrypoint } from '../../../../../edge-dp/status/entrypoint.ts';
import { nodeRoutes } from '../../../../../edge-dp/status/node.ts';
import type { Errand } from '../errand.ts';

/** The whole Worker with one plugin, which runs the errand in a request's body. */
const tunnelling: Plugin<object> = {
  name: 'tunnelling',
  version: '1.0.0',
  priority: 1,
  compile(_config, _place, services) {
    return {
      async access(request) {
        const errand: Errand = JSON.parse(new TextDecoder().decode((await request.body.read(1 << 20)) ?? undefined));
        try {
          return request.exit(200, JSON.stringify((await run(errand, services)) ?? null));
        } catch (error) {
          if (!(error instanceof ServiceError)) throw error;
          return request.exit(502, JSON.stringify({ code: error.code, message: error.message }));
        }
      },
    };
  },
};

async function run(errand: Errand, services: Services): Promise<unknown> {
  switch (errand.does) {
    case 'datagram':
      return services.datagram(
        errand,
        errand.packets.map((packet) => new TextEncoder().encode(packet)),
      );
    case 'append':
      await Promise.all(errand.texts.map((text) => services.append(errand, text)));
      return null;
    case 'syslog':
      return services.syslog(errand.lines);
    case 'fetch': {
      const response = await services.fetch({ ...errand, timeout: 60_000 });
      response.discard();
      return response.status;
    }
    case 'connect': {
      const { tls, pool, timeout = 60_000, startTls, keep } = errand;
      let connection = await services.connect(errand, { tls, timeout, ...(pool !== undefined && { pool }) });
      const { reused } = connection;
      if (startTls !== undefined) {
        await firstLine(connection);
        connection = await connection.startTls(startTls);
      }
      const sent = send(connection, errand, keep === undefined);
      const text = keep === undefined ? await toTheEnd(connection) : await firstLine(connection);
      await sent;
      if (keep === undefined) await connection.close();
      else await connection.keep(keep);
      return { reused, text: text.slice(0, 200), length: text.length };
    }
  }
}

async function send({ writable }: Connection, errand: Errand & { does: 'connect' }, end: boolean): Promise<void> {
  const writer = writable.getWriter();
  const bytes = new TextEncoder().encode(errand.send);
  for (let i = 0; i < (errand.times ?? 1); i++) await writer.write(bytes);
  if (end) await writer.close();
  else writer.releaseLock();
}

async function firstLine({ readable }: Connection): Promise<string> {
  const reader = readable.getReader();
  let text = '';
  while (!text.includes('\n')) {
    const { done, value } = await reader.read();
    if (done) throw new ServiceError('protocol', `ended after '${text}'`);
    text += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  return text;
}

async function toTheEnd({ readable }: Connection): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of readable) text += decoder.decode(chunk, { stream: true });
  return text;
}

const plugins = new Map([[tunnelling.name, tunnelling]]);
const isolate = new Isolate({
  createRequestPath: ({ SETTINGS, NETWORK, EGRESS, TUNNEL, OUTWARD, NODE }) =>
    createRequestPath({
      settings: SETTINGS.proxy,
      network: NETWORK ?? internet,
      egress: EGRESS,
      tunnel: TUNNEL,
      outward: OUTWARD,
      node: NODE,
      plugins,
    }),
  plugins: { tunnelling: '1.0.0' },
});

export default proxyEntrypoint(isolate);
export { NodeService } from '../../../../../edge-dp/durable/node-service.ts';
export { NodeState } from '../../../../../edge-dp/durable/node-state.ts';
export class Status extends statusEntrypoint(isolate, nodeRoutes) {}
export class ClusterLink extends clusterLink(isolate) {}
export class HealthChecker extends healthChecker(isolate) {}
