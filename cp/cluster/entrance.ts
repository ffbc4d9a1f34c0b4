import { ShapeError } from '../../shared/bundle/shape.ts';
import type { Hello } from '../../shared/cluster/messages.ts';
import { verifyNodeProof } from '../../shared/cluster/node-proof.ts';
import type { Peer } from './admission.ts';
import type { Claims } from './claims.ts';
import type { Nodes } from './nodes.ts';
import type { Quotas } from './quotas.ts';
import { NodeSession, type SessionContext } from './session.ts';

interface EntranceOptions {
  readonly context: SessionContext;
  readonly nodes: Nodes;
  readonly claims: Claims;
  readonly quotas: Quotas;
}

/** Where every hello is looked at, whichever way it came. */
export class Entrance {
  readonly #options: EntranceOptions;

  constructor(options: EntranceOptions) {
    this.#options = options;
  }

  /**
   * Begins a session with the sender of a hello. `isOurs` says whether a challenge is the one it was given. Throws
   * `ShapeError` for a hello that is wrong, `TooMany` for one too many, `IdTaken` for one in the name of another node.
   */
  async begin(hello: Hello, peer: Peer, isOurs: (challenge: string) => boolean): Promise<NodeSession> {
    const { context, nodes, claims, quotas } = this.#options;
    nodes.requireRoom(hello.node.id);
    const key = await provedKey(hello, isOurs);
    if (key === null && peer.certificateExpires === null)
      throw new ShapeError('hello.proof: needed where no certificate is shown');
    const { keys, isNew } = await claims.claim(hello.node, peer, key);
    quotas.hello(hello.node.id);
    if (isNew) {
      quotas.newNode(peer);
      await nodes.requireRoomForNew(peer.ip);
    }
    const session = await NodeSession.begin(hello, peer, keys, context);
    if (isNew && !(await nodes.introduce(session))) throw claims.refuse(hello.node, peer);
    return session;
  }
}

/** The public half of the key the sender has; null for a data plane that has none. */
async function provedKey(
  { node, nonce, proof }: Hello,
  isOurs: (challenge: string) => boolean,
): Promise<string | null> {
  if (proof === undefined) return null;
  if (nonce === undefined) throw new ShapeError('hello.proof: needs hello.nonce');
  const { key, challenge } = await verifyNodeProof(proof, { node: node.id, nonce });
  if (!isOurs(challenge))
    throw new ShapeError('hello.proof: answers no challenge of this control plane, or one that was used');
  return key;
}
