import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { Http2SecureServer, Http2Server } from 'node:http2';
import { createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { expect } from 'vitest';
import {
  decodeFailure,
  EGRESS_ERROR,
  EGRESS_TARGET,
  EGRESS_TOKEN,
  type EgressTarget,
  encodeHeader,
  type TlsIdentity,
} from '../../../../edge-dp/proxy/egress/protocol.ts';
import { commandOf, descendants } from '../../../proc.ts';
import { ask, startNode, stopNode, type TestNode } from '../node.ts';

/** A target on the loopback that answers within the timeouts. */
export function target(port: number, overrides: Partial<EgressTarget> = {}): EgressTarget {
  return {
    scheme: 'http',
    host: '127.0.0.1',
    port,
    version: '1.1',
    authority: 'upstream.test',
    path: '/',
    tls: null,
    timeouts: { connect: 5_000, read: 5_000, write: 5_000 },
    ...overrides,
  };
}

/** A node with its egress process, and the upstreams of a test. */
export class EgressNode {
  readonly node: TestNode;
  readonly #servers: { close(): unknown }[] = [];

  private constructor(node: TestNode) {
    this.node = node;
  }

  static async start(): Promise<EgressNode> {
    return new EgressNode(await startNode());
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) server.close();
    await stopNode(this.node);
  }

  /** Listens on a free port of the loopback, and closes with the tests. */
  async serve(server: Server | TcpServer | Http2Server | Http2SecureServer): Promise<number> {
    this.#servers.push(server);
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve());
    });
    return Number(Reflect.get(Object(server.address()), 'port'));
  }

  /** A port nobody listens on. */
  async freePort(): Promise<number> {
    const port = await this.serve(createTcpServer());
    this.#servers.pop()?.close();
    return port;
  }

  /** A request through the Worker and its EGRESS binding. */
  async send(to: EgressTarget, options: Parameters<typeof ask>[1] = {}) {
    const headers = { ...options.headers, [EGRESS_TARGET]: encodeHeader(to) };
    const answer = await ask(`${this.node.url}/egress/`, { ...options, headers });
    const failure = answer.headers[EGRESS_ERROR];
    return { ...answer, failure: failure === undefined ? null : decodeFailure(String(failure)) };
  }

  /** A request to the egress process itself: workerd resets a client that it answers while that is still sending. */
  async sendDirectly(to: EgressTarget, body: Uint8Array) {
    const { socketPath } = this;
    const answer = await ask('http://egress/', { socketPath, method: 'POST', headers: this.headersOf(to), body });
    return { ...answer, failure: decodeFailure(String(answer.headers[EGRESS_ERROR])) };
  }

  /** Where the egress process listens. */
  get socketPath(): string {
    return `${this.node.prefix}/run/egress.sock`;
  }

  /** By which it knows where a request is to go, and that it is its node's. */
  headersOf(to: EgressTarget): Record<string, string> {
    const config = readFileSync(`${this.node.prefix}/run/config-1/process-1.capnp`, 'utf8');
    const token = new RegExp(`"${EGRESS_TOKEN}", value = "([^"]+)"`).exec(config)?.[1] ?? '';
    return { [EGRESS_TARGET]: encodeHeader(to), [EGRESS_TOKEN]: token };
  }

  /** Hands a TLS identity over; returns its name. */
  async identity(overrides: Partial<TlsIdentity>): Promise<string> {
    const body = JSON.stringify({ verify: true, verifyDepth: null, ca: null, certificate: null, ...overrides });
    const name = createHash('sha256').update(body).digest('hex');
    const put = await ask(`${this.node.url}/egress/identities/${name}`, { method: 'PUT', body });
    expect(put.status).toBe(204);
    return name;
  }

  /** Its process id; it changes when the process is started again. */
  pid(): number {
    const found = descendants(process.pid).find((pid) => commandOf(pid).includes('egress/main.ts'));
    if (found === undefined) throw new Error('there is no egress process');
    return found;
  }
}
