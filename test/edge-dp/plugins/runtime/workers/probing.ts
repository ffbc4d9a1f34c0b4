import { OwnResponse } from '../../../../../edge-dp/http/messages.ts';
import type { Exchange } from '../../../../../edge-dp/plugins/runtime/exchange.ts';
import { type Hooks, type Plugin, served, waitedFor } from '../../../../../edge-dp/plugins/runtime/plugin.ts';
import type { Services } from '../../../../../edge-dp/plugins/runtime/services.ts';
import { slot } from '../../../../../edge-dp/plugins/runtime/slot.ts';
import { fixedConfigWorker } from '../../../proxy/workers/fixed-config-worker.ts';

// Plugins that do what their configuration lists, so that a test writes down any plugin it needs:
// `{access: [["set", "x-a", "1"], ["exit", 403]]}`. `p0` runs first, `p9` last.

const remembered = slot();

const REQUEST = {
  set: (r, name, value) => r.headers.set(name, value),
  append: (r, name, value) => r.headers.append(name, value),
  remove: (r, name) => r.headers.delete(name),
  method: (r, method) => {
    r.method = method;
  },
  query: (r, query) => {
    r.query = query;
  },
  body: (r, text, type) => r.body.replace(text, type),
  /** Tells the next ones, and the upstream, what there is now. */
  saw: async (r, into) => {
    const bytes = await r.body.read(1 << 20);
    const seen = [
      r.method,
      r.headers.get('x-a'),
      r.headers.get('x-b'),
      r.query,
      bytes && new TextDecoder().decode(bytes),
    ];
    r.headers.set(into, JSON.stringify(seen));
  },
  path: (r, path) => {
    r.upstream.path = path;
  },
  target: (r, target) => {
    r.upstream.target = target;
  },
  scheme: (r, scheme) => {
    r.upstream.scheme = scheme;
  },
  timeouts: (r, timeouts) => {
    r.upstream.timeouts = timeouts;
  },
  retries: (r, retries) => {
    r.upstream.retries = retries;
  },
  limit: (r, bytes, message) => r.body.limit(bytes, message),
  reply: (r, name, value) => r.replyHeaders.append(name, value),
  share: (r, key, value) => void r.shared.set(key, value),
  remember: (r, value) => remembered.set(r, value),
  /** Shows what was shared and remembered, after others had time to spoil it. */
  recall: async (r, milliseconds) => {
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    r.replyHeaders.set('x-recalled', JSON.stringify([remembered.get(r) ?? null, ...r.shared]));
  },
  authenticate: (r, id) => r.identity.authenticate({ id, username: id, custom_id: null, row: { id } }, null),
  exit: (r, status, body, headers) => r.exit(status, body, headers),
  error: (r, status, message) => r.error(status, message),
  served: (_, status, body, waited) => served(new OwnResponse(status, body), waited),
  waited: (_, status, body, waited) => waitedFor(new OwnResponse(status, body), waited),
  /** Sends it; gives the answer as it is, or another in its place. */
  forward: async (r, instead) => {
    const response = await r.forward();
    r.replyHeaders.set('x-forwarded-status', String(response.status));
    return instead === undefined ? response : r.exit(200, instead);
  },
  throw: (_, text) => {
    throw new Error(text);
  },
};

const REPLY = {
  status: (_, reply, status) => {
    reply.status = status;
  },
  set: (_, reply, name, value) => reply.headers.set(name, value),
  source: (_, reply) => reply.headers.append('x-source', reply.source),
  read: async (_, reply, limit) => {
    const bytes = await reply.body.read(limit);
    reply.headers.append(
      'x-read',
      bytes === null ? 'null' : `${bytes.length} ${new TextDecoder().decode(bytes.slice(0, 20))}`,
    );
  },
  replace: (_, reply, text) => reply.body.replace(text),
  upper: (_, reply) => {
    const upper = new TransformStream({
      transform: (chunk, controller) =>
        controller.enqueue(new TextEncoder().encode(new TextDecoder().decode(chunk).toUpperCase())),
    });
    reply.headers.set('x-through', String(reply.body.through(upper)));
  },
  /** Passes on what has come first, and throws at what comes next. */
  breaks: (_, reply) => {
    let chunks = 0;
    const transform = (chunk, controller) => {
      if (chunks++ > 0) throw new Error('boom body');
      controller.enqueue(chunk);
    };
    reply.body.through(new TransformStream({ transform }));
  },
  copy: (r, reply, limit, url) => reply.body.copy(limit, (bytes) => tell(r, url, { copied: bytes?.length ?? null })),
  exit: (r, _, status, body, headers) => r.exit(status, body, headers),
  throw: (_, __, text) => {
    throw new Error(text);
  },
};

let services: Services;

function tell(request, url, what) {
  const body = JSON.stringify(what);
  request.waitUntil(services.fetch({ url, method: 'POST', body, timeout: 5000 }).then((answer) => answer.discard()));
}

function probe(name, priority): Plugin {
  return {
    name,
    version: '1.0.0',
    priority,
    compile(config, _place, own): Hooks {
      services = own;
      const steps = (table, list) =>
        list &&
        (async (first, reply) => {
          for (const [does, ...rest] of list) {
            const answer = await (reply === undefined
              ? table[does](first, ...rest)
              : table[does](first, reply, ...rest));
            if (typeof answer === 'object' && answer !== null) return answer;
          }
        });
      const hooks = {
        rewrite: steps(REQUEST, config.rewrite),
        access: steps(REQUEST, config.access),
        response: steps(REPLY, config.response),
        log: config.log && ((exchange) => log(exchange, name, config.log)),
        close: config.close && (() => console.log(`closed ${config.close}`)),
      };
      return Object.fromEntries(Object.entries(hooks).filter(([, hook]) => hook));
    },
  };
}

function log(exchange: Exchange, name, url) {
  if (url === 'throw') throw new Error('cannot log');
  const { request, reply, tries, latencies, bytes, aborted, upstreamTarget } = exchange;
  tell(request, url, {
    name,
    status: reply.status,
    source: reply.source,
    tries: tries.map(({ port, status, failure }) => ({ port, status, failure })),
    latencies,
    bytes,
    aborted,
    upstreamTarget,
    headers: Object.fromEntries(request.headers),
    remembered: remembered.get(request),
  });
}

const plugins = Array.from({ length: 10 }, (_, n) => probe(`p${n}`, 100 - n));

export default fixedConfigWorker(new Map(plugins.map((plugin) => [plugin.name, plugin])));
