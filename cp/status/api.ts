import { type BrowserRules, isLoopback, judgeBrowser } from '../../shared/browser-guard.ts';
import { METRICS_TYPE } from '../../shared/metrics-text.ts';
import { message, methodNotAllowed, noContent, notFound, Refusal, type Reply } from '../admin/reply.ts';
import { readBody } from '../admin/request/body.ts';
import { parseQuery, type Query } from '../admin/request/query.ts';
import type { Arrival } from '../listeners/browser-guard.ts';
import type { DatabaseCondition } from '../store/condition.ts';

/** What the Status API of a control plane tells; none of it waits for the database for longer than a probe does. */
export interface StatusSources {
  /** `GET /status`, as the Admin API answers it. */
  status(query: Query): Promise<Reply>;
  /** The text of `GET /metrics`. */
  metrics(): Promise<string>;
  condition(): Promise<DatabaseCondition>;
  /** Names it goes by besides `localhost`, in lower case. */
  readonly names: ReadonlySet<string>;
}

/** The Status API of a control plane: nothing of it can be used to change anything but whether it says that it is ready. */
export class StatusApi {
  readonly #sources: StatusSources;
  readonly #rules: BrowserRules;
  #draining = false;

  constructor(sources: StatusSources) {
    this.#sources = sources;
    this.#rules = {
      names: sources.names,
      namesSetting: 'status_allowed_hosts',
      allows: () => false,
      remedy: 'the Status API is not for browsers',
    };
  }

  /** From now on load balancers are told to send what is new elsewhere. */
  drain(): void {
    this.#draining = true;
  }

  async fetch(request: Request, arrival: Arrival): Promise<Response> {
    const refused = this.#refusedToBrowser(request, arrival);
    if (refused !== null) return answer(message(403, refused));
    try {
      return answer(await this.#reply(request));
    } catch (error) {
      if (error instanceof Refusal) return answer(error.reply);
      throw error;
    }
  }

  async #reply(request: Request): Promise<Reply> {
    const path = new URL(request.url).pathname.replace(/(.)\/$/, '$1');
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (path === '/status/ready' && request.method === 'POST') return this.#order(request);
    if (!PATHS.has(path)) return notFound;
    if (!reads) return methodNotAllowed;
    if (path === '/status') return this.#sources.status(parseQuery(request.url));
    if (path === '/status/ready') return this.#ready();
    return { status: 200, body: await this.#sources.metrics(), headers: { 'content-type': METRICS_TYPE } };
  }

  /**
   * As in Kong, a control plane is ready while it reaches its database: without it the Admin API can neither read nor write. Data planes
   * get what is published all the same, which is why their way to it must not hang on this answer.
   */
  async #ready(): Promise<Reply> {
    if (this.#draining) return message(503, 'draining');
    const { reachable, reason } = await this.#sources.condition();
    if (reachable) return message(200, 'ready');
    return { status: 503, body: { message: 'failed to connect to database', ...(reason === null ? {} : { reason }) } };
  }

  async #order(request: Request): Promise<Reply> {
    const body = await readBody(request, { limit: LONGEST_ORDER, yaml: false });
    const status = body.kind === 'form' ? new Map(body.args).get('status') : body.kind === 'json' && body.args.status;
    if (status !== 'draining') return message(400, "status: expected 'draining'");
    this.#draining = true;
    return noContent;
  }

  #refusedToBrowser({ method, headers }: Request, { localAddress }: Arrival): string | null {
    const verdict = judgeBrowser(
      {
        method,
        host: headers.get('host'),
        origin: headers.get('origin'),
        fetchSite: headers.get('sec-fetch-site'),
        loopback: localAddress !== undefined && isLoopback(localAddress),
      },
      this.#rules,
    );
    return verdict.kind === 'refused' ? verdict.reason : null;
  }
}

const PATHS: ReadonlySet<string> = new Set(['/status', '/status/ready', '/metrics']);

/** Bytes of a body. */
const LONGEST_ORDER = 4096;

function answer({ status, body, headers = {} }: Reply): Response {
  if (typeof body === 'string' || body === undefined) return new Response(body ?? null, { status, headers });
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  });
}
