import { randomBytes, timingSafeEqual } from 'node:crypto';
import { json, object, ShapeError, string } from '../../shared/bundle/shape.ts';
import { verifyNodeProof } from '../../shared/cluster/node-proof.ts';
import { TELEMETRY_CHALLENGE } from '../../shared/telemetry/messages.ts';
import type { Peer } from '../cluster/admission.ts';
import { Challenges } from '../cluster/challenges.ts';
import type { NodeKeys } from '../store/store.ts';

/** Data planes that are remembered, those that spoke longest ago first forgotten. */
const MOST = 20_000;

/** Whoever speaks does not show that the id is its own. */
export class NotTheNode extends Error {
  override readonly name = 'NotTheNode';
}

interface Session {
  readonly token: Buffer;
  readonly certificateKey: string | null;
}

/** Which data planes have shown whose they are: by the key that their id belongs to, as at the port of config. */
export class TelemetrySessions {
  readonly #keysOf: (node: string) => Promise<NodeKeys | null>;
  readonly #challenges = new Challenges();
  readonly #sessions = new Map<string, Session>();

  constructor(keysOf: (node: string) => Promise<NodeKeys | null>) {
    this.#keysOf = keysOf;
  }

  challenge(): string {
    return this.#challenges.issue();
  }

  /** Begins one with whoever sent the body. Throws `ShapeError` for a body that is wrong, `NotTheNode` for another's id. */
  async begin(node: string, body: string, peer: Peer): Promise<string> {
    const read = object(json(body, 'the body'), 'the body');
    const nonce = string(read.nonce, 'nonce');
    const { key, challenge } = await verifyNodeProof(string(read.proof, 'proof'), { node, nonce });
    if (
      !challenge.startsWith(TELEMETRY_CHALLENGE) ||
      !this.#challenges.redeem(challenge.slice(TELEMETRY_CHALLENGE.length))
    ) {
      throw new ShapeError('proof: answers no challenge of this control plane, or one that was used');
    }
    const keys = await this.#keysOf(node);
    if (keys === null) throw new NotTheNode(`data plane ${node} is not known: it connects to cluster_listen first`);
    if (keys.node !== key) throw new NotTheNode(`id ${node} belongs to another key`);
    const token = randomBytes(32);
    this.#sessions.delete(node);
    this.#sessions.set(node, { token, certificateKey: peer.certificateKey });
    const oldest = this.#sessions.size > MOST ? this.#sessions.keys().next().value : undefined;
    if (oldest !== undefined) this.#sessions.delete(oldest);
    return token.toString('base64url');
  }

  /** Whether it is the data plane that speaks. */
  isOf(node: string, shown: string, peer: Peer): boolean {
    const session = this.#sessions.get(node);
    const token = Buffer.from(shown, 'base64url');
    return (
      session !== undefined &&
      token.length === session.token.length &&
      timingSafeEqual(token, session.token) &&
      session.certificateKey === peer.certificateKey
    );
  }

  forget(node: string): void {
    this.#sessions.delete(node);
  }
}
