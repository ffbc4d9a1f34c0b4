import type { Bytes, Manifest, ObjectName } from '../../shared/bundle/format.ts';
import { objectName } from '../../shared/bundle/object.ts';
import { arrayOf } from '../../shared/bundle/shape.ts';
import { type Count, parseCounts } from '../../shared/cluster/counts.ts';
import { parseRecordChange, type RecordChange, type RecordOutcome } from '../../shared/cluster/records.ts';
import { mustBeRecord } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { parseSampled, type SampledShape } from '../replay/sampled-shape.ts';
import type { CachedManifest } from './cache.ts';
import type { ObjectOrigin } from './objects.ts';
import type { Standing } from './trust.ts';

/**
 * What isolates and the node's one owner of the link say to each other over `env.NODE`. Plain HTTP, since the owner may
 * live in another process of the box:
 *
 *     GET  /news?have=<s>.<h>&wait=<ms>&isolate=<name>&requests=<n>
 *                              204 when serial `s` with config hash `h` is the newest and `wait` ms later still is,
 *                              else 200 and `News` as JSON
 *     GET  /link               200 and `LinkState` as JSON
 *     GET  /objects/<sha256>   200 and gzip bytes, 404 when no control plane has it, 503 when none answers
 *     POST /reports            `Report` as JSON; 204
 *     POST /records            changes of shared records for the control plane: their outcomes, or null when it does not answer
 *     POST /proofs             `{nonce, challenge}` of a telemetry port: `{proof}`, by the node's key
 *     POST /shapes             requests of this isolate for the node's sample (`SampledShape`); 204
 *     POST /counts/<ledger>    what a ledger has counted, for the control plane: what others have, or null when it does not answer
 */
export interface News extends Standing {
  /** Null until a control plane gave one (and with cache mode `off`, once per life of the owner's process). */
  readonly newest: CachedManifest | null;
  /** The key of what isolates share (`ColoCache`), base64 of 32 bytes; absent: they share nothing. */
  readonly seal?: string;
}

/** How the link to the control plane is. */
export interface LinkState {
  readonly connected: boolean;
  /**
   * Why this node has no newer config: the control plane withholds it, it was refused here, or it is kept back on the way;
   * null: it has the newest.
   */
  readonly withheld: string | null;
  /** Orders that were not obeyed since the owner began, since they were not signed as they must be. */
  readonly ordersRefused: number;
  /** Configs that were refused since then, and times that config could not be kept, or what was kept could not be read. */
  readonly configsRefused: number;
  readonly cacheErrors: number;
}

/** Requests an isolate has taken since it began. */
export interface Told {
  readonly isolate: string;
  readonly requests: number;
}

export type Report =
  /** Something at rest was refused: for the log and the control plane. */
  | { readonly type: 'rejected'; readonly serial: number | null; readonly reason: string }
  /** Target health by upstream, for the next heartbeat. */
  | { readonly type: 'health'; readonly health: Readonly<Record<string, unknown>> };

/** Milliseconds the owner keeps a question for news at most. */
const LONGEST_WAIT = 30_000;

/** Milliseconds the owner of the link has to say how it is: probes want their answer within a second. */
const LINK_TIMEOUT = 700;

/** Where an isolate finds the owner of the link (`Env`). */
export interface NodeBindings {
  readonly NODE: Pick<Fetcher, 'fetch'>;
  /** The owner itself, once it knows what it has kept, where it lives in this process and the host can tell. */
  readonly OWNER?: () => Promise<NodeOwner>;
}

/** The isolate's end. */
export class NodeClient implements ObjectOrigin {
  readonly name = 'control plane';
  readonly #node: NodeBindings['NODE'];
  readonly #owner: NonNullable<NodeBindings['OWNER']> | null;

  constructor({ NODE, OWNER }: NodeBindings) {
    this.#node = NODE;
    this.#owner = OWNER ?? null;
  }

  /**
   * `have`: `versionOf` what is held. Null when it is the newest, and stays it for `wait` ms. Throws when the owner cannot be reached within `timeout` ms.
   */
  async news(
    have: string | null,
    { timeout, wait = 0, told }: { readonly timeout: number; readonly wait?: number; readonly told?: Told },
  ): Promise<News | null> {
    if (this.#owner !== null) return newsFor(await this.#owner(), { have, wait, told });
    const query = new URLSearchParams({ have: have ?? '', wait: String(wait) });
    if (told !== undefined) {
      query.set('isolate', told.isolate);
      query.set('requests', String(told.requests));
    }
    const response = await this.#node.fetch(`http://node/news?${query}`, { signal: AbortSignal.timeout(timeout) });
    if (response.status === 204) return null;
    if (response.status !== 200) throw new Error(`the node's link owner answered ${response.status}`);
    return parseNews(await response.json());
  }

  /** Throws when the owner cannot be reached. */
  async link(): Promise<LinkState> {
    if (this.#owner !== null) return (await this.#owner()).linkState;
    const response = await this.#node.fetch('http://node/link', { signal: AbortSignal.timeout(LINK_TIMEOUT) });
    if (response.status !== 200) throw new Error(`the node's link owner answered ${response.status}`);
    const { connected, withheld, ordersRefused, configsRefused, cacheErrors } = mustBeRecord(
      await response.json(),
      'the answer',
    );
    return {
      connected: connected === true,
      withheld: typeof withheld === 'string' ? withheld : null,
      ordersRefused: numberOr0(ordersRefused),
      configsRefused: numberOr0(configsRefused),
      cacheErrors: numberOr0(cacheErrors),
    };
  }

  async get(name: ObjectName): Promise<Bytes | null> {
    if (this.#owner !== null) return (await this.#owner()).object(name);
    const response = await this.#node.fetch(`http://node/objects/${name}`);
    if (response.status === 404) return null;
    if (response.status !== 200) throw new Error(await response.text());
    return new Uint8Array(await response.arrayBuffer());
  }

  async report(report: Report): Promise<void> {
    if (this.#owner !== null) return (await this.#owner()).report(report);
    const response = await this.#node.fetch('http://node/reports', { method: 'POST', body: JSON.stringify(report) });
    await response.body?.cancel();
  }
}

/** How two configs are told apart without their manifests. */
export function versionOf(manifest: Manifest): string {
  return `${manifest.serial}.${manifest.config_hash}`;
}

/** What the owner of the link offers; `NodeService` puts it on the wire. */
export interface NodeOwner {
  news(): Promise<News & { readonly version: string | null }>;
  /** Resolves when the newest is another than `have`, or after `limit` ms. `isolate` is who waits. */
  nextNews(limit: number, isolate: string | null, have: string | null): Promise<void>;
  /** An isolate says which version it has. */
  has(isolate: string, version: string | null): void;
  /** An isolate is about to be told what the newest is, and goes by that for a while. */
  answered(isolate: string): void;
  object(name: ObjectName): Promise<Bytes | null>;
  report(report: Report): Promise<void>;
  readonly linkState: LinkState;
  records(changes: readonly RecordChange[]): Promise<readonly RecordOutcome[] | null>;
  counts(ledger: string, counts: readonly Count[]): Promise<readonly number[] | null>;
  heard(told: Told): void;
  sampled(shapes: readonly SampledShape[]): void;
  /** Shows to a telemetry port that whoever speaks has the node's key. */
  proof(nonce: string, challenge: string): Promise<string>;
}

function numberOr0(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

interface NewsQuestion {
  readonly have: string | null;
  readonly wait: number;
  readonly told: Told | undefined;
}

/** Null: what the isolate has is the newest. */
async function newsFor(owner: NodeOwner, { have, wait, told }: NewsQuestion): Promise<News | null> {
  if (told !== undefined) {
    owner.heard(told);
    owner.has(told.isolate, have);
    // Before it is: what changes in between would be neither waited for nor told.
    owner.answered(told.isolate);
  }
  if (wait > 0) await owner.nextNews(wait, told?.isolate ?? null, have);
  const { version, ...news } = await owner.news();
  return version !== null && have === version ? null : news;
}

/** The owner's end. */
export async function answerNode(request: Request, owner: NodeOwner): Promise<Response> {
  const url = new URL(request.url);
  const [, resource, name] = url.pathname.split('/');
  try {
    if (request.method === 'GET' && resource === 'news') {
      const isolate = url.searchParams.get('isolate');
      const news = await newsFor(owner, {
        have: url.searchParams.get('have') || null,
        wait: Math.min(Number(url.searchParams.get('wait')) || 0, LONGEST_WAIT),
        told: isolate === null ? undefined : { isolate, requests: Number(url.searchParams.get('requests')) },
      });
      return news === null ? new Response(null, { status: 204 }) : Response.json(news);
    }
    if (request.method === 'GET' && resource === 'link') return Response.json(owner.linkState);
    if (request.method === 'GET' && resource === 'objects') {
      const gzip = await owner.object(objectName(name, 'object name'));
      return gzip === null ? new Response('no such object', { status: 404 }) : new Response(gzip);
    }
    if (request.method === 'POST' && resource === 'reports') {
      await owner.report(parseReport(await request.json()));
      return new Response(null, { status: 204 });
    }
    if (request.method === 'POST' && resource === 'records') {
      return Response.json(await owner.records(arrayOf(await request.json(), 'changes', parseRecordChange)));
    }
    if (request.method === 'POST' && resource === 'proofs') {
      const { nonce, challenge } = mustBeRecord(await request.json(), 'the question');
      return Response.json({ proof: await owner.proof(String(nonce), String(challenge)) });
    }
    if (request.method === 'POST' && resource === 'shapes') {
      owner.sampled(arrayOf(await request.json(), 'shapes', parseSampled));
      return new Response(null, { status: 204 });
    }
    if (request.method === 'POST' && resource === 'counts') {
      return Response.json(await owner.counts(name ?? '', parseCounts(await request.json(), 'counts')));
    }
    return new Response('no such resource', { status: 404 });
  } catch (error) {
    return new Response(messageOf(error), { status: 503 });
  }
}

/** Throws a `TypeError`. */
export function parseNews(value: unknown): News {
  const read = mustBeRecord(value, 'the message');
  const newest = read.newest === null ? null : mustBeRecord(read.newest, 'newest');
  return {
    cluster: typeof read.cluster === 'string' ? read.cluster : null,
    highestSerial: typeof read.highestSerial === 'number' ? read.highestSerial : null,
    statements: Array.isArray(read.statements) ? read.statements.map(String) : [],
    newest:
      newest === null
        ? null
        : {
            manifest: String(newest.manifest),
            introductions: Array.isArray(newest.introductions) ? newest.introductions.map(String) : [],
          },
    ...(typeof read.seal === 'string' && { seal: read.seal }),
  };
}

function parseReport(value: unknown): Report {
  const read = mustBeRecord(value, 'the message');
  if (read.type === 'health') return { type: 'health', health: mustBeRecord(read.health, 'health') };
  return {
    type: 'rejected',
    serial: typeof read.serial === 'number' ? read.serial : null,
    reason: String(read.reason),
  };
}
