import type { ServerResponse } from 'node:http';
import type { NodeRequest } from './request.ts';

/** Milliseconds a body is read on for behind the answer, as nginx's `lingering_time`. */
const IN_ALL = 30_000;

/**
 * Reads what is still sent of a body that nobody took, for a while: a connection that is closed with unread bytes is reset, and
 * the client may never see its answer. Behind an answer that ends the connection Node would close it at once.
 */
export function lingering(to: ServerResponse, { body }: NodeRequest): void {
  if (body === null || body.unasked || body.source.readableEnded) return;
  const { source } = body;
  const { socket } = to;
  if (socket === null) return;
  const last = !to.shouldKeepAlive;
  to.once('finish', () => {
    if (source.readableEnded || socket.destroyed) return;
    const late = setTimeout(() => socket.destroy(), IN_ALL);
    late.unref();
    socket.once('close', () => clearTimeout(late));
    source.once('end', () => clearTimeout(late));
    source.on('error', () => undefined);
    body.letGo();
    source.resume();
    if (!last) return;
    // What Node does next is to close it.
    socket.destroySoon = () => {
      socket.end();
      source.once('end', () => socket.destroy());
      // Nobody parses what comes behind a body that broke off.
      if (body.broken) socket.on('data', () => undefined).resume();
    };
  });
}
