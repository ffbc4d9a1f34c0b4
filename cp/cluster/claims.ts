import type { NodeDescription } from '../../shared/cluster/messages.ts';
import { Lately } from '../../shared/lately.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { NodeKeys, NodeRegistry } from '../store/store.ts';
import type { Peer } from './admission.ts';
import type { ClusterLog } from './mtls-server.ts';
import { networkOf } from './networks.ts';

/** Ids whose keys are remembered for when the database is away. */
const MOST_REMEMBERED = 20_000;

/** The id belongs to another data plane. */
export class IdTaken extends Error {
  override readonly name = 'IdTaken';
}

interface ClaimsOptions {
  readonly registry: Pick<NodeRegistry, 'keys' | 'rebind'>;
  /** The keys of a data plane that is connected here, which may not be written down yet. */
  readonly connected: (id: string) => NodeKeys | null;
  readonly log: ClusterLog;
  /** Has the registry show who was refused. */
  readonly refused: (node: NodeDescription, peer: Peer) => void;
}

interface Known {
  readonly keys: NodeKeys;
  readonly certificateIsCommon: boolean;
  /** They stand in the database. */
  readonly written: boolean;
}

/** Decides whose a data plane's id is: whoever said it first, known by its own key or by that of its certificate. */
export class Claims {
  readonly #options: ClaimsOptions;
  readonly #remembered = new Map<string, NodeKeys>();
  readonly #told = new Lately();

  constructor(options: ClaimsOptions) {
    this.#options = options;
  }

  /**
   * The keys the id belongs to from now on, and whether nobody had it before. `key`: the one that was proved, null where none
   * was. Throws `IdTaken` when the id belongs to others. Without a database, what was seen here last decides.
   */
  async claim(node: NodeDescription, peer: Peer, key: string | null): Promise<{ keys: NodeKeys; isNew: boolean }> {
    const presented: NodeKeys = { node: key, certificate: peer.certificateKey };
    const known = await this.#known(node.id);
    if (known === null) return { keys: this.#remember(node.id, presented), isNew: true };
    const { keys, certificateIsCommon, written } = known;
    const byKey = keys.node !== null && keys.node === presented.node;
    const byCertificate =
      keys.certificate !== null &&
      keys.certificate === presented.certificate &&
      // A certificate that several data planes show stands for none of them.
      (keys.node === null || !certificateIsCommon);
    if (!byKey && !byCertificate) throw this.refuse(node, peer);
    const next: NodeKeys = { node: presented.node ?? keys.node, certificate: presented.certificate };
    if (written && (next.node !== keys.node || next.certificate !== keys.certificate)) {
      await this.#rebind(node, keys, next, byKey ? 'a new certificate' : 'a new key of its own');
    }
    return { keys: this.#remember(node.id, next), isNew: false };
  }

  async #known(id: string): Promise<Known | null> {
    const { registry, connected, log } = this.#options;
    let keys = connected(id) ?? undefined;
    try {
      const found = await registry.keys(id);
      if (found !== null) return { ...found, written: true };
    } catch (error) {
      log('warn', `whose the id of data plane ${id} is cannot be looked up: ${messageOf(error)}`);
      keys ??= this.#remembered.get(id);
    }
    if (keys === undefined || (keys.node ?? keys.certificate) === null) return null;
    return { keys, certificateIsCommon: true, written: false };
  }

  async #rebind(node: NodeDescription, from: NodeKeys, to: NodeKeys, what: string): Promise<void> {
    const { registry, log } = this.#options;
    try {
      if (!(await registry.rebind(node.id, from, to))) throw new IdTaken('another data plane was faster');
      log('info', `data plane ${node.id} (${node.hostname}) has ${what}`);
    } catch (error) {
      if (error instanceof IdTaken) throw error;
      log('warn', `that data plane ${node.id} has ${what} cannot be written down: ${messageOf(error)}`);
    }
  }

  /** Tells of it; returns what to throw. */
  refuse(node: NodeDescription, peer: Peer): IdTaken {
    if (this.#told.isNew(`${node.id} ${networkOf(peer.ip)} ${peer.subject}`)) {
      this.#options.log(
        'warn',
        `refused ${peer.ip}:${peer.port} (hostname '${node.hostname}', certificate '${peer.subject}'): it says it is data ` +
          `plane ${node.id}, but does not have the key that id belongs to. If that node was installed anew, forget the old ` +
          `one: DELETE /clustering/data-planes/${node.id}`,
      );
    }
    this.#options.refused(node, peer);
    return new IdTaken(`id ${node.id} belongs to another key; see DELETE /clustering/data-planes/{id}`);
  }

  #remember(id: string, keys: NodeKeys): NodeKeys {
    this.#remembered.delete(id);
    this.#remembered.set(id, keys);
    const oldest = this.#remembered.size > MOST_REMEMBERED ? this.#remembered.keys().next().value : undefined;
    if (oldest !== undefined) this.#remembered.delete(oldest);
    return keys;
  }

  forget(id: string): void {
    this.#remembered.delete(id);
  }
}
