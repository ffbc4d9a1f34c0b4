/**
 * Links of data planes that are nothing else: each with its own key and id over its own TLS connection, saying and answering what a data plane
 * says and answers, coming back after the pauses it makes. What they are sent is verified once for all. Told what to do, and asked, over IPC.
 */
import { readFileSync } from 'node:fs';
import { connect, createSecureContext } from 'node:tls';
import { generateKeyPair } from 'jose';
import { WebSocket } from 'ws';
import { loadTrustedKeys } from '../../cp/pki/cluster-tls.ts';
import { backoff } from '../../edge-dp/durable/backoff.ts';
import { parseFromControlPlane } from '../../edge-dp/durable/incoming.ts';
import packageFile from '../../package.json' with { type: 'json' };
import type { Manifest } from '../../shared/bundle/format.ts';
import { verifyManifest } from '../../shared/bundle/verification.ts';
import { HOST_CAPABILITIES } from '../../shared/cluster/hosts.ts';
import { type FromDataPlane, HEARTBEAT_INTERVAL } from '../../shared/cluster/messages.ts';
import { CHALLENGE_HEADER, type NodeKey, proveNode } from '../../shared/cluster/node-proof.ts';
import { plugins } from '../../shared/plugins/registry.ts';
import type { FleetQuestion, FleetState } from './fleet.ts';

const [port = '', folder = ''] = process.argv.slice(2);
const read = (name: string): string => readFileSync(`${folder}/${name}`, 'utf8');
const secureContext = createSecureContext({
  cert: read('cluster.crt'),
  key: read('cluster.key'),
  ca: read('cluster.crt'),
});
/** One context for all of them, which `ws` has no option for. */
const createConnection = () =>
  connect({ host: '127.0.0.1', port: Number(port), secureContext, servername: 'kong_clustering' });
const trusted = loadTrustedKeys(`${folder}/bundle-keys.json`);
const installed = Object.fromEntries([...plugins].map(([name, { version }]) => [name, version]));

/** Manifests by their text: most data planes are sent the same. */
const verified = new Map<string, Promise<Manifest>>();

function manifestIn(jws: string): Promise<Manifest> {
  let manifest = verified.get(jws);
  if (manifest === undefined) {
    if (verified.size > 8) verified.clear();
    const { cluster, keys } = trusted;
    manifest = verifyManifest(jws, { trustedKeys: keys, cluster, group: null, highestSerial: null, now: null });
    verified.set(jws, manifest);
  }
  return manifest;
}

class SimulatedDataPlane {
  readonly #id = crypto.randomUUID();
  readonly #key: NodeKey;
  #socket: WebSocket | null = null;
  #failures = 0;
  #manifest: string | null = null;
  #beat: NodeJS.Timeout | null = null;
  /** What it has, and since when (milliseconds since the epoch). */
  serial: number | null = null;
  #configHash: string | null = null;
  since = 0;

  constructor(key: NodeKey) {
    this.#key = key;
  }

  get connected(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN && this.#failures === 0;
  }

  connect(): void {
    const socket = new WebSocket(`wss://127.0.0.1:${port}/v1/link`, {
      createConnection,
      perMessageDeflate: false,
    });
    this.#socket = socket;
    let challenge = '';
    socket.once('upgrade', ({ headers }) => {
      challenge = String(headers[CHALLENGE_HEADER]);
    });
    socket.once('open', () => void this.#greet(challenge));
    socket.on('message', (data) => void this.#hear(String(data)));
    socket.on('error', () => undefined);
    socket.once('close', (code, reason) => {
      if (this.#beat !== null) clearInterval(this.#beat);
      this.#failures++;
      ends[`${code} ${reason}`] = (ends[`${code} ${reason}`] ?? 0) + 1;
      setTimeout(() => this.connect(), backoff(this.#failures));
    });
  }

  async #greet(challenge: string): Promise<void> {
    const nonce = crypto.randomUUID();
    const node = this.#id;
    this.#say({
      type: 'hello',
      node: {
        id: node,
        hostname: `fleet-${node.slice(0, 8)}`,
        version: packageFile.version,
        host: 'node',
        group: 'default',
        labels: {},
        plugins: installed,
        capabilities: HOST_CAPABILITIES.node,
      },
      manifest: this.#manifest,
      nonce,
      assignable: true,
      proof: await proveNode({ node, nonce, challenge }, this.#key),
    });
    this.#beat = setInterval(
      () => this.#say({ type: 'heartbeat', serial: this.serial, config_hash: this.#configHash }),
      HEARTBEAT_INTERVAL,
    );
  }

  #say(message: FromDataPlane): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  async #hear(text: string): Promise<void> {
    const message = parseFromControlPlane(text);
    this.#failures = 0;
    if (message?.type !== 'manifest') return;
    const { serial, config_hash } = await manifestIn(message.manifest);
    if (this.serial !== serial) this.since = Date.now();
    this.serial = serial;
    this.#configHash = config_hash;
    this.#manifest = message.manifest;
    this.#say({ type: 'applied', serial, config_hash });
  }
}

const fleet: SimulatedDataPlane[] = [];
/** Why links ended, and how many. */
const ends: Record<string, number> = {};

async function join(count: number, each: number): Promise<void> {
  for (let made = 0; made < count; made++) {
    const { publicKey, privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519' });
    const { x = '' } = await crypto.subtle.exportKey('jwk', publicKey);
    const plane = new SimulatedDataPlane({ x, privateKey });
    fleet.push(plane);
    plane.connect();
    if (each > 0) await new Promise((resolve) => setTimeout(resolve, each));
  }
}

function state(serial: number): FleetState {
  const there = fleet.filter((plane) => plane.serial !== null && plane.serial >= serial);
  return {
    connected: fleet.filter((plane) => plane.connected).length,
    holding: there.length,
    since: there.map(({ since }) => since),
    ends,
  };
}

process.on('message', (question: FleetQuestion) => {
  if (question.does === 'join') void join(question.count, question.pause);
  else process.send?.(state(question.serial));
});
process.on('disconnect', () => process.exit());
