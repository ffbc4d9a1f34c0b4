import type { Manifest } from '../../shared/bundle/format.ts';
import type { ManifestMessage } from '../../shared/cluster/messages.ts';
import type { Publisher, Release } from '../publisher/publisher.ts';

/** Bytes of objects, compressed, that travel inside a manifest message; beyond, the data plane fetches what it lacks. */
const INLINE_LIMIT = 192 << 10;

/** Texts kept for one release: data planes hold few different configs, and one that claims many must not fill the memory. */
const MOST_TEXTS = 64;

/**
 * The text of manifest messages. Data planes that hold the same config get the same text, so that a change is
 * encoded once for all of them.
 */
export class ManifestTexts {
  readonly #publisher: Publisher;
  /** By group: the release they are of, and the text by the config hash that the data plane holds. */
  readonly #groups = new Map<string, { readonly release: Release; readonly texts: Map<string, string> }>();

  constructor(publisher: Publisher) {
    this.#publisher = publisher;
  }

  /** For the link: with the objects that the holder of `held` lacks, when they are few. */
  withObjects(release: Release, held: Manifest | null): string {
    const texts = this.#textsOf(release);
    const base = held?.config_hash ?? '';
    let text = texts.get(base);
    if (text === undefined) {
      if (texts.size >= MOST_TEXTS) texts.clear();
      text = this.#write(release, this.#inline(release.manifest, held));
      texts.set(base, text);
    }
    return text;
  }

  /** For the HTTPS form, where objects are fetched, and cached on the way. */
  withoutObjects(release: Release): string {
    return this.#write(release, {});
  }

  #write(release: Release, objects: ManifestMessage['objects']): string {
    const keys = this.#publisher.statements();
    const message: ManifestMessage = {
      type: 'manifest',
      manifest: release.jws,
      objects,
      ...(keys.length === 0 ? {} : { keys }),
    };
    return JSON.stringify(message);
  }

  #textsOf(release: Release): Map<string, string> {
    const { group } = release.manifest;
    let of = this.#groups.get(group);
    if (of?.release !== release) {
      for (const name of this.#groups.keys()) if (this.#publisher.release(name) === null) this.#groups.delete(name);
      of = { release, texts: new Map() };
      this.#groups.set(group, of);
    }
    return of.texts;
  }

  #inline(manifest: Manifest, held: Manifest | null): ManifestMessage['objects'] {
    const objects: Record<string, string> = {};
    let bytes = 0;
    for (const name of this.#publisher.missing(manifest, held)) {
      const object = this.#publisher.object(name);
      bytes += object?.gzip.length ?? 0;
      if (object === undefined || bytes > INLINE_LIMIT) return {};
      objects[name] = Buffer.from(object.gzip).toString('base64');
    }
    return objects;
  }
}
