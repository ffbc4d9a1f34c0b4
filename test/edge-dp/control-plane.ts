import { createServer, type Server } from 'node:https';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { generateClusterCertificate } from '../../cp/pki/certificate.ts';
import { SHARED_SERVER_NAME } from '../../cp/pki/names.ts';
import type { BundleRow, Manifest, ObjectName, TableRef } from '../../shared/bundle/format.ts';
import { spreadValue } from '../../shared/bundle/lookup.ts';
import { buildManifest, configHash } from '../../shared/bundle/manifest.ts';
import { packObject } from '../../shared/bundle/object.ts';
import { generateSigningKey, type SigningKey, signManifest } from '../../shared/bundle/signing.ts';
import type { ManifestSplit } from '../../shared/bundle/split.ts';
import { placeOf } from '../../shared/bundle/spread.ts';
import type { FromDataPlane, Hello, Order } from '../../shared/cluster/messages.ts';
import { CHALLENGE_HEADER, SESSION_HEADER } from '../../shared/cluster/node-proof.ts';
import { signOrder } from '../../shared/cluster/order.ts';
import { freePorts } from '../free-port.ts';
import { once } from '../once.ts';

/** A table to publish: eager by id, or lazy by a lookup field. */
interface TestTable {
  readonly rows: readonly BundleRow[];
  readonly bits?: number;
  readonly lookup?: string;
  readonly hashed?: readonly string[];
}

export type TestConfig = Readonly<Record<string, TestTable>>;

/** Milliseconds a message is waited for. */
const PATIENCE = 60_000;

/** What an order says of itself, and the key it is signed with, where it is not what it should be. */
type OrderChanges = Partial<Omit<Parameters<typeof signOrder>[0], 'order'>> & { readonly key?: SigningKey };

/**
 * A control plane that can misbehave: the real link over mutual TLS with really signed bundles, but a test decides what is
 * published, withheld, altered, or cut off. The real one is exercised end to end in test/e2e.
 */
export class ControlPlane {
  readonly signingKey: SigningKey;
  /** Another one is shown from the next start on. */
  certificate: { readonly cert: string; readonly key: string };
  readonly serverName = SHARED_SERVER_NAME;
  /** Every message of every data plane, oldest first. */
  readonly messages: FromDataPlane[] = [];
  /** Objects asked for over HTTPS. */
  readonly fetched: ObjectName[] = [];
  /** Common names of the client certificates that connected. */
  readonly clients: (string | undefined)[] = [];
  readonly objects = new Map<ObjectName, Uint8Array>();
  /** What becomes of an object on its way; null: no answer at all. */
  deliver: (name: ObjectName, gzip: Uint8Array) => Uint8Array | null = (_name, gzip) => gzip;
  /** Statements about signing keys, that go with every manifest. */
  keys: readonly string[] = [];
  /** Objects travel with the manifest when true, else they are fetched. */
  inline = false;
  /** Given to whoever connects, to be answered in the hello; null: as by a control plane of an earlier version. */
  challenge: string | null = crypto.randomUUID();
  /** Shown by a node that polls, after its hello. */
  readonly session = crypto.randomUUID();
  /** False: upgrades are answered with 426, as by a proxy that knows no WebSocket. */
  upgrades = true;
  port = 0;
  #manifest: string | null = null;
  /** Of the config published last. */
  serial = 0;
  #server: Server | null = null;
  #sockets = new Set<WebSocket>();
  #hellos = new Map<WebSocket, Hello>();
  /** Said over HTTPS last. */
  poller: Hello | null = null;
  /** What its next questions are answered with. */
  readonly #toPoll: string[] = [];
  /** Of the last order. */
  #counter = 0;
  /** All there are, also those in the middle of a handshake, of which the server does not tell. */
  #connections = new Set<Socket>();
  #changed: (() => void)[] = [];
  #waiting: (() => void)[] = [];

  private constructor(signingKey: SigningKey, certificate: { cert: string; key: string }) {
    this.signingKey = signingKey;
    this.certificate = certificate;
  }

  static async create(): Promise<ControlPlane> {
    const [{ key }, certificate] = await Promise.all([generateSigningKey(), generateClusterCertificate()]);
    return new ControlPlane(key, certificate);
  }

  /** Another one of the same cluster. */
  sibling(): ControlPlane {
    return new ControlPlane(this.signingKey, this.certificate);
  }

  /** Listens; after a `stop`, on the same port again. */
  async start(): Promise<void> {
    const { cert, key } = this.certificate;
    const server = createServer(
      { cert, key, ca: cert, requestCert: true, rejectUnauthorized: true },
      (request, response) => {
        void this.#answer(request.method ?? '', new URL(request.url ?? '', 'https://cp'), request.headers, async () => {
          let body = '';
          for await (const chunk of request.setEncoding('utf8')) body += String(chunk);
          return body;
        }).then(([status, headers, body]) => {
          if (status !== 0) response.writeHead(status, headers).end(body);
        });
      },
    );
    const upgrades = new WebSocketServer({ noServer: true });
    upgrades.on('headers', (headers) => {
      if (this.challenge !== null) headers.push(`${CHALLENGE_HEADER}: ${this.challenge}`);
    });
    server.on('upgrade', (request, socket, head) => {
      if (!this.upgrades) {
        socket.end('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n', () => socket.destroy());
        return;
      }
      this.clients.push(clientName(request.socket as TLSSocket));
      upgrades.handleUpgrade(request, socket, head, (opened) => this.#open(opened));
    });
    server.on('connection', (socket: Socket) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
    });
    // It comes back to the same one.
    if (this.port === 0) [this.port = 0] = await freePorts(1);
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    this.#server = server;
  }

  /** Gone without a goodbye, like a killed process. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    for (const socket of this.#sockets) socket.terminate();
    this.#sockets.clear();
    for (const wake of this.#waiting.splice(0)) wake();
    if (server === null) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#connections) socket.destroy();
    await closed;
  }

  /** Packs, signs and pushes a config; returns the signed manifest. */
  async publish(config: TestConfig, overrides: Partial<Manifest> = {}, key = this.signingKey): Promise<string> {
    const tables = await this.#tables(config);
    this.serial = overrides.serial ?? this.serial + 1;
    const manifest = await buildManifest({
      cluster: this.signingKey.cluster,
      group: 'default',
      serial: this.serial,
      issued_at: Math.floor(Date.now() / 1000),
      plugins: {},
      keys: [this.signingKey.publicKey],
      ...overrides,
      tables,
    });
    const signed = await signManifest(manifest, key);
    this.push(signed);
    return signed;
  }

  /** Another config for a part of the requests, to be published with one for the others. Telemetry tells them apart as 2 and 1. */
  async split(config: TestConfig, terms: Pick<ManifestSplit, 'release' | 'percent' | 'by'>): Promise<ManifestSplit> {
    const tables = await this.#tables(config);
    return { ...terms, serial: 2, rest_serial: 1, config_hash: await configHash(tables), tables };
  }

  async #tables(config: TestConfig): Promise<Record<string, TableRef>> {
    const tables: Record<string, TableRef> = {};
    for (const [name, table] of Object.entries(config)) tables[name] = await this.#pack(name, table);
    return tables;
  }

  /** Sends any text as the manifest. */
  push(manifest: string): void {
    this.#manifest = manifest;
    for (const socket of this.#sockets) this.#send(socket);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Gives an order to every data plane, signed for it; `changes` make something else of it than the real one would. */
  async tell(order: Order, changes: OrderChanges = {}): Promise<void> {
    for (const [socket, hello] of this.#hellos) socket.send(await this.order(order, hello, changes));
    const { poller } = this;
    if (poller !== null) this.#sayPolling(await this.order(order, poller, changes));
  }

  /** The text of a signed order to the sender of `hello`. */
  async order(
    order: Order,
    { node, nonce = '' }: Hello,
    { key = this.signingKey, ...changes }: OrderChanges = {},
  ): Promise<string> {
    const envelope = {
      cluster: this.signingKey.cluster,
      node: node.id,
      nonce,
      counter: ++this.#counter,
      issued_at: Math.floor(Date.now() / 1000),
      order,
      ...changes,
    };
    return JSON.stringify({ type: 'order', order: await signOrder(envelope, key) });
  }

  /** Sends anything to every data plane. */
  say(frame: string | Buffer): void {
    for (const socket of this.#sockets) socket.send(frame);
    if (this.poller !== null) this.#sayPolling(String(frame));
  }

  #sayPolling(text: string): void {
    this.#toPoll.push(text);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** The first message after `from` that fits; waits for it, and says what came instead when it does not come. */
  async heard<T extends FromDataPlane['type']>(
    type: T,
    fits: (message: Extract<FromDataPlane, { type: T }>) => boolean = () => true,
    from = 0,
  ): Promise<Extract<FromDataPlane, { type: T }>> {
    const until = Date.now() + PATIENCE;
    for (let position = from; ; position++) {
      while (position >= this.messages.length) {
        const came = new Promise<void>((resolve) => this.#changed.push(resolve));
        await Promise.race([came, sleep(Math.max(0, until - Date.now()), null, { ref: false })]);
        if (Date.now() < until || position < this.messages.length) continue;
        const instead = this.messages.slice(from).map((message) => JSON.stringify(message).slice(0, 200));
        throw new Error(`no '${type}' that fits came in ${PATIENCE} ms; what came: ${instead.join('\n') || 'nothing'}`);
      }
      const message = this.messages[position];
      if (message !== undefined && isType(message, type) && fits(message)) return message;
    }
  }

  async #pack(table: string, { rows, bits = 0, lookup, hashed = [] }: TestTable): Promise<TableRef> {
    const key = lookup ?? 'id';
    const places: BundleRow[][] = Array.from({ length: 2 ** bits }, () => []);
    for (const row of rows) places[placeOf(spreadValue(row, key), bits)]?.push(row);
    const objects = await Promise.all(
      places.map(async (placed) => {
        if (placed.length === 0) return null;
        const sorted = placed.toSorted((a, b) => (a.id < b.id ? -1 : 1));
        const { object, size } = await packObject({ table, rows: sorted });
        this.objects.set(object.name, object.gzip);
        return { name: object.name, size };
      }),
    );
    const { object } = await packObject({ table, key, hashed, bits, objects });
    this.objects.set(object.name, object.gzip);
    return { index: object.name, rows: rows.length, mode: lookup === undefined ? 'eager' : 'lazy' };
  }

  #open(socket: WebSocket): void {
    this.#sockets.add(socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#hellos.delete(socket);
    });
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as FromDataPlane;
      this.#hear(message);
      if (message.type !== 'hello') return;
      this.#hellos.set(socket, message);
      this.#send(socket);
    });
  }

  #hear(message: FromDataPlane): void {
    this.messages.push(message);
    for (const wake of this.#changed.splice(0)) wake();
  }

  #send(socket: WebSocket): void {
    if (this.#manifest === null) return;
    const { keys } = this;
    socket.send(JSON.stringify({ type: 'manifest', manifest: this.#manifest, objects: this.#inlineObjects(), keys }));
  }

  #inlineObjects(): Record<string, string> {
    if (!this.inline) return {};
    const delivered = [...this.objects].map(([name, gzip]) => [name, this.deliver(name, gzip)] as const);
    return Object.fromEntries(
      delivered.map(([name, gzip]) => [name, Buffer.from(gzip ?? new Uint8Array()).toString('base64')]),
    );
  }

  async #answer(
    method: string,
    url: URL,
    headers: Readonly<Record<string, unknown>>,
    body: () => Promise<string>,
  ): Promise<[number, Record<string, string>, Uint8Array | string]> {
    const [, , resource, name = ''] = url.pathname.split('/');
    if (resource === 'challenge' && this.challenge !== null) {
      return [200, {}, JSON.stringify({ challenge: this.challenge })];
    }
    const known = this.challenge === null || headers[SESSION_HEADER] === this.session;
    if (method === 'POST' && resource === 'status') {
      const message = JSON.parse(await body()) as FromDataPlane;
      if (message.type !== 'hello' && !known) return [403, {}, 'say hello first'];
      this.#hear(message);
      if (message.type !== 'hello') return [204, {}, ''];
      this.poller = message;
      return [200, {}, JSON.stringify({ session: this.session })];
    }
    if (resource === 'manifest' && !known) return [403, {}, 'say hello first'];
    if (resource === 'manifest') return this.#poll(url, headers['if-none-match']);
    if (resource !== 'objects') return [404, {}, ''];
    this.fetched.push(name);
    const gzip = this.objects.get(name);
    if (gzip === undefined) return [404, {}, ''];
    const delivered = this.deliver(name, gzip);
    return delivered === null ? [0, {}, ''] : [200, { 'content-type': 'application/gzip' }, delivered];
  }

  async #poll(url: URL, etag: unknown): Promise<[number, Record<string, string>, string]> {
    const current = (): string => `"${this.#manifest?.slice(-16) ?? ''}"`;
    if (this.#toPoll.length === 0 && etag === current() && url.searchParams.get('wait') !== '0') {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    const said = this.#toPoll.shift();
    if (said !== undefined) return [200, {}, said];
    if (this.#manifest === null || etag === current()) return [304, {}, ''];
    const message = { type: 'manifest', manifest: this.#manifest, objects: {}, keys: this.keys };
    return [200, { etag: current() }, JSON.stringify(message)];
  }
}

function clientName(socket: TLSSocket): string | undefined {
  const { subject } = socket.getPeerCertificate();
  return socket.authorized && typeof subject?.CN === 'string' ? subject.CN : undefined;
}

function isType<T extends FromDataPlane['type']>(
  message: FromDataPlane,
  type: T,
): message is Extract<FromDataPlane, { type: T }> {
  return message.type === type;
}
