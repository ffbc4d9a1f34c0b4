/** A Worker with the entrypoints and bindings of the real one, for tests of what is around it. */
import { DurableObject, WorkerEntrypoint } from 'cloudflare:workers';
import type { Env } from '../../../../edge-dp/env.ts';

/** Tells one process from another. */
let isolate: string | undefined;

export default {
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    isolate ??= crypto.randomUUID();
    const url = new URL(request.url);
    const [, operation, ...rest] = url.pathname.split('/');
    switch (operation) {
      case 'slow': {
        await new Promise((resolve) => setTimeout(resolve, Number(url.searchParams.get('ms'))));
        return new Response('slow but complete');
      }
      case 'kv':
        return await kv(request, env.KV, url, decodeURIComponent(rest.join('/')));
      case 'node':
        return env.NODE.fetch('http://node/');
      case 'declarative':
        return env.DECLARATIVE?.fetch(`http://declarative/${rest.join('/')}`) ?? new Response('none', { status: 404 });
      case 'control-plane':
        return env.CONTROL_PLANE?.fetch('http://control-plane/v1/manifest') ?? new Response('none', { status: 404 });
      case 'network':
        return env.NETWORK.fetch(new Request(String(url.searchParams.get('to')), request));
      case 'egress': {
        const target = new URL(`http://egress${url.search}`);
        target.pathname = rest.length > 0 ? `/${rest.join('/')}` : '/';
        return env.EGRESS?.fetch(new Request(target, request)) ?? new Response('none', { status: 404 });
      }
      default:
        return Response.json({ isolate, url: request.url, props: ctx.props, cf: request.cf, settings: env.SETTINGS });
    }
  },
};

async function kv(request: Request, namespace: KVNamespace, url: URL, key: string): Promise<Response> {
  const metadata = url.searchParams.get('metadata');
  const ttl = url.searchParams.get('ttl');
  try {
    switch (request.method) {
      case 'PUT':
        await namespace.put(key, request.body ?? '', {
          ...(metadata !== null && { metadata: JSON.parse(metadata) }),
          ...(ttl !== null && { expirationTtl: Number(ttl) }),
        });
        return new Response('stored');
      case 'DELETE':
        await namespace.delete(key);
        return new Response('deleted');
      case 'POST':
        return Response.json(Object.fromEntries(await namespace.get(await request.json<string[]>(), 'text')));
      default: {
        if (key === '') {
          const limit = url.searchParams.get('limit');
          const listed = await namespace.list({
            prefix: url.searchParams.get('prefix'),
            cursor: url.searchParams.get('cursor'),
            ...(limit !== null && { limit: Number(limit) }),
          });
          return Response.json(listed);
        }
        const found = await namespace.getWithMetadata(key, 'arrayBuffer');
        if (found.value === null) return new Response('nothing there', { status: 404 });
        return new Response(found.value, {
          headers: { 'x-metadata': encodeURIComponent(JSON.stringify(found.metadata)) },
        });
      }
    }
  } catch (error) {
    return new Response(String(error), { status: 500 });
  }
}

export class Status extends WorkerEntrypoint<Env> {
  override fetch(): Response {
    return Response.json({ status: 'ok', props: this.ctx.props });
  }
}

export class NodeService extends WorkerEntrypoint<Env> {
  override async fetch(): Promise<Response> {
    const link = this.env.LINK;
    if (link === undefined) return new Response('no link here', { status: 500 });
    return await link.get(link.idFromName('link')).fetch('http://link/');
  }
}

/** Counts the requests it ever saw, over restarts. */
export class ClusterLink extends DurableObject<Env> {
  override async fetch(): Promise<Response> {
    isolate ??= crypto.randomUUID();
    const seen = ((await this.ctx.storage.get<number>('seen')) ?? 0) + 1;
    await this.ctx.storage.put('seen', seen);
    return Response.json({ seen, isolate });
  }
}
