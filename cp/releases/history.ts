import type { Manifest, PackedObject } from '../../shared/bundle/format.ts';
import { messageOf } from '../../shared/thrown.ts';
import { coalesce, type Pace } from '../publisher/coalesce.ts';
import type { Publisher } from '../publisher/publisher.ts';
import type { ReleaseRetention, ReleaseStore } from '../store/store.ts';

interface HistoryOptions {
  readonly publisher: Publisher;
  readonly store: Pick<ReleaseStore, 'keep' | 'forget'>;
  readonly retention: ReleaseRetention;
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void;
  /** Milliseconds between looks for what is to be forgotten. */
  readonly interval?: number;
}

/** What a group was given, with those of its objects that may be new. */
interface Published {
  readonly manifest: Manifest;
  readonly objects: ReadonlyMap<string, PackedObject>;
  readonly names: readonly string[];
}

const INTERVAL = 60_000;
const PACE: Pace = { quiet: 250, patience: 3_000 };
/** Milliseconds between attempts while the database fails. */
const RETRY = 5_000;
/** Configs that wait to be written down, while the database is slow. */
const MOST_WAITING = 100;

/**
 * Keeps every config that groups are given at once, after they were given it: nobody waits for that. And forgets, of all groups'
 * releases, what is beyond the bounds.
 */
export class ReleaseHistory {
  readonly #options: HistoryOptions;
  readonly #waiting: Published[] = [];
  /** By group: what was noted last. */
  readonly #noted = new Map<string, string>();
  /** Names of the objects that the last one kept of a group has. */
  readonly #kept = new Map<string, ReadonlySet<string>>();
  readonly #timer: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  /** Behind a burst of writes, which an embedded database would have to share its one connection with. */
  readonly #rounds = coalesce(() => this.#keep(), PACE);
  #retry: NodeJS.Timeout | null = null;
  #complaint = '';

  constructor(options: HistoryOptions) {
    this.#options = options;
    const { publisher, retention, interval = INTERVAL } = options;
    this.#timer = setInterval(() => void this.#forget(), interval);
    this.#timer.unref();
    if (retention.count === 0) {
      this.#unsubscribe = () => undefined;
      return;
    }
    this.#unsubscribe = publisher.subscribe(({ manifest }) => this.#note(manifest));
    for (const group of publisher.groups()) {
      const release = publisher.release(group);
      if (release !== null) this.#note(release.manifest);
    }
  }

  /** Keeps what there is first. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#unsubscribe();
    await this.#rounds.flush();
    if (this.#retry !== null) clearTimeout(this.#retry);
    await this.#rounds.stop();
  }

  #note(manifest: Manifest): void {
    const { publisher, log } = this.#options;
    const { group, config_hash: hash } = manifest;
    if (publisher.staged?.live(group) != null) {
      // When it is given things at once again, that is another config than before.
      this.#noted.delete(group);
      return;
    }
    if (this.#noted.get(group) === hash) return;
    this.#noted.set(group, hash);
    const names = [...new Set(publisher.missing(manifest, null))];
    const kept = this.#kept.get(group);
    const objects = new Map<string, PackedObject>();
    for (const name of names) {
      const object = kept?.has(name) === true ? undefined : publisher.object(name);
      if (object !== undefined) objects.set(name, object);
    }
    this.#waiting.push({ manifest, objects, names });
    if (this.#waiting.length > MOST_WAITING) {
      const lost = this.#waiting.shift();
      log(
        'warn',
        `serial ${lost?.manifest.serial} of group '${lost?.manifest.group}' is not kept as a release: too many wait`,
      );
    }
    this.#rounds.signal();
  }

  /** Never throws. */
  async #keep(): Promise<void> {
    const { store, publisher, log } = this.#options;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const { manifest, names, objects } = next;
      try {
        await store.keep(
          { group: manifest.group, content: manifest, objects: names },
          (name) => objects.get(name) ?? publisher.object(name),
        );
        this.#kept.set(manifest.group, new Set(names));
        if (this.#waiting[0] === next) this.#waiting.shift();
        this.#complaint = '';
      } catch (error) {
        const message = messageOf(error);
        if (message !== this.#complaint) log('error', `what is published cannot be kept as a release: ${message}`);
        this.#complaint = message;
        this.#retry ??= setTimeout(() => {
          this.#retry = null;
          this.#rounds.signal();
        }, RETRY);
        this.#retry.unref();
        return;
      }
    }
  }

  async #forget(): Promise<void> {
    const { store, retention, log } = this.#options;
    try {
      await store.forget(retention);
    } catch (error) {
      const message = messageOf(error);
      if (message !== this.#complaint) log('error', `old releases cannot be forgotten: ${message}`);
      this.#complaint = message;
    }
  }
}
