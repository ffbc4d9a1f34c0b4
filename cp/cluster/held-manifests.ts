import type { Manifest } from '../../shared/bundle/format.ts';
import { verifyManifest } from '../../shared/bundle/verification.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Publisher } from '../publisher/publisher.ts';
import type { ClusterLog } from './mtls-server.ts';

/** Texts that are remembered: after a restart nearly all data planes hold the same. */
const MOST = 16;

/** What data planes say in their hellos that they hold, verified once for all that say the same. */
export class HeldManifests {
  readonly #publisher: Pick<Publisher, 'trust'>;
  readonly #verified = new Map<string, Manifest>();
  /** By which keys they were verified. */
  #by = '';

  readonly #log: ClusterLog;

  constructor(publisher: Pick<Publisher, 'trust'>, log: ClusterLog) {
    this.#publisher = publisher;
    this.#log = log;
  }

  /** The manifest in the hello of a data plane, when this cluster's key signed it: anything else says nothing about what is held. */
  async read(jws: string, name: string): Promise<Manifest | null> {
    try {
      return await this.#verify(jws);
    } catch (error) {
      this.#log('warn', `${name} holds a manifest that is not of this cluster: ${messageOf(error)}`);
      return null;
    }
  }

  async #verify(jws: string): Promise<Manifest> {
    const { cluster, keys } = this.#publisher.trust();
    const by = JSON.stringify([cluster, keys]);
    if (by !== this.#by) this.#verified.clear();
    this.#by = by;
    const known = this.#verified.get(jws);
    if (known !== undefined) return known;
    const manifest = await verifyManifest(jws, {
      trustedKeys: keys,
      cluster,
      group: null,
      highestSerial: null,
      now: null,
    });
    const oldest = this.#verified.size >= MOST ? this.#verified.keys().next().value : undefined;
    if (oldest !== undefined) this.#verified.delete(oldest);
    // The keys may have become others meanwhile.
    if (by === this.#by) this.#verified.set(jws, manifest);
    return manifest;
  }
}
