import type { Isolate } from '../config/isolate.ts';
import type { LiveConfig } from '../config/live.ts';
import type { Env } from '../env.ts';

/** What a route of the Status API gets. */
export interface StatusRequest {
  readonly request: Request;
  readonly url: URL;
  readonly env: Env;
  readonly isolate: Isolate;
  /** The config requests see now. */
  readonly live: LiveConfig;
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** The groups of the route's pattern. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** One path of the Status API: its pattern, as `URLPattern` takes it, and its methods. HEAD is answered like GET. */
export interface StatusRoute {
  readonly path: string;
  readonly GET?: (request: StatusRequest) => Response | Promise<Response>;
  readonly POST?: (request: StatusRequest) => Response | Promise<Response>;
}

/** Kong's Status API is JSON all over, with the charset spelled out. */
export function json(body: unknown, status = 200): Response {
  const headers = { 'content-type': 'application/json; charset=utf-8' };
  return new Response(JSON.stringify(body), { status, headers });
}
