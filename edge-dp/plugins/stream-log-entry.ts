import type { StreamExchange } from './runtime/stream.ts';

/** What Kong's log entry (`kong.log.serialize`) has of a session that is no HTTP, besides what all entries have. */
export function describeSession({ session, ...exchange }: StreamExchange): Readonly<Record<string, unknown>> {
  const { tls } = session;
  const { status, received, sent, upstream, latencies } = exchange;
  return {
    session: {
      ...(tls !== null && { tls: { version: tls.version, cipher: tls.cipher, client_verify: tls.clientVerify } }),
      received,
      sent,
      status,
      server_port: session.serverPort,
    },
    upstream: { received: upstream.received, sent: upstream.sent },
    latencies: { kong: latencies.kong, session: latencies.session },
  };
}
