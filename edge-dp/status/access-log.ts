import { compileFormat, type LineWriter } from '../../shared/access-log/format.ts';
import { parseSocketAddress } from '../../shared/client-address.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Env } from '../env.ts';
import { outputMark } from '../notice.ts';
import { hostServices } from '../plugins/services/host-services.ts';

/** By the text of the format: compiled once for an isolate. */
const compiled = new Map<string, LineWriter>();

/** `status_access_log`: one line for a request of the Status API. Nothing where that is off. */
export function logStatusRequest(
  { SETTINGS, TUNNEL }: Pick<Env, 'SETTINGS' | 'TUNNEL'>,
  {
    request,
    response,
    startedAt,
    listener,
    waitUntil,
  }: {
    readonly request: Request;
    readonly response: Response;
    readonly startedAt: number;
    readonly listener: { readonly scheme?: string; readonly port?: number };
    readonly waitUntil: (work: Promise<unknown>) => void;
  },
): void {
  const { accessLog } = SETTINGS.status;
  if (accessLog === undefined) return;
  const { path, format } = accessLog;
  const write = compiled.get(format.text) ?? compileFormat(format);
  compiled.set(format.text, write);
  const { pathname, search } = new URL(request.url);
  const peer: unknown = request.cf?.clientIp;
  const socket = typeof peer === 'string' ? parseSocketAddress(peer) : null;
  const endedAt = Date.now();
  const length = response.headers.get('content-length');
  const line = write({
    client: { ip: socket?.ip ?? '', port: socket?.port ?? null },
    method: request.method,
    target: `${pathname}${search}`,
    protocol: 'HTTP/1.1',
    scheme: listener.scheme ?? 'http',
    port: listener.port ?? null,
    status: response.status,
    bodyBytes: length === null ? null : Number(length),
    requestBytes: null,
    answerBytes: null,
    took: endedAt - startedAt,
    endedAt,
    requestId: null,
    header: (name) => request.headers.get(name),
    answerHeader: (name) => response.headers.get(name),
    tries: [],
    upstreamTook: null,
    route: null,
    service: null,
    consumer: null,
  });
  const mark = outputMark(path);
  if (mark !== null || TUNNEL === undefined) console.log(`${mark ?? ''}${line}`);
  else
    waitUntil(
      hostServices(TUNNEL)
        .append({ path, reopen: true }, `${line}\n`)
        .catch((error: unknown) => console.error(`status_access_log ${path}: a line is lost: ${messageOf(error)}`)),
    );
}
