import { EVENT_KINDS, type EventKind } from './event.ts';
import { commitMark, type Position, parsePosition, positionText } from './position.ts';
import { Reader } from './reader.ts';
import { changeOf, type EventSources, eventText, Watch } from './watch.ts';

/** Why nobody can be told of events now. */
export class EventsUnavailable extends Error {}

interface EventHubOptions extends EventSources {
  /** Calls back with the id of a data plane that is forgotten, here or at another control plane. */
  readonly onForgotten: (callback: (id: string) => void) => () => void;
  /** Bytes that may wait for a reader. */
  readonly mostUnread?: number;
  /** Readers at a time. */
  readonly mostReaders?: number;
  /** Milliseconds between comments on a quiet stream, by which both ends notice that the other is gone. */
  readonly heartbeat?: number;
}

const MOST_UNREAD = 1 << 20;
const MOST_READERS = 100;
const HEARTBEAT = 15_000;
/** Milliseconds after the last reader in which events are still gathered, for one that comes back. */
const LINGER = 60_000;
/** Milliseconds after which a reader that was cut off should come back. */
const RETRY = 2_000;
/** Changes a reader that comes back from another control plane is told; with more it reads everything anew. */
const MOST_REPLAYED = 2_000;

/** Tells what happens in the cluster to those who read `GET /events`. Costs nothing while nobody does. */
export class EventHub {
  readonly #options: EventHubOptions;
  readonly #readers = new Set<Reader>();
  readonly #heartbeat: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  #watch: Promise<Watch> | null = null;
  #linger: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: EventHubOptions) {
    this.#options = options;
    this.#heartbeat = setInterval(() => this.#tell(':\n\n'), options.heartbeat ?? HEARTBEAT);
    this.#heartbeat.unref();
    this.#unsubscribe = options.onForgotten((id) => {
      void this.#watch?.then(
        (watch) => watch.forgotten(id),
        () => undefined,
      );
    });
  }

  /**
   * A stream of Server-Sent Events from now on, or from behind the event whose id is `last`. Throws `EventsUnavailable` when
   * there are too many readers, and while the database is away.
   */
  async open(last: string | null): Promise<ReadableStream<Uint8Array>> {
    const { mostReaders = MOST_READERS, mostUnread = MOST_UNREAD, warn } = this.#options;
    if (this.#closed) throw new EventsUnavailable('this control plane is stopping');
    if (this.#readers.size >= mostReaders) {
      throw new EventsUnavailable(
        `${mostReaders} readers of events are connected to this control plane, the most it takes`,
      );
    }
    const reader: Reader = new Reader(mostUnread, (why) => {
      this.#left(reader);
      if (why !== null) warn(`a reader of events is cut off: ${why}`);
    });
    this.#readers.add(reader);
    try {
      const watch = await this.#watching();
      reader.listen();
      const { position } = watch;
      const from = last === null ? position : parsePosition(last);
      const { texts, missed } = await this.#since(watch, from, position);
      const hello = { serial: position.serial, control_plane: this.#options.controlPlane, missed };
      const id = positionText(missed === EVENT_KINDS || from === null ? position : from);
      reader.begin([`retry: ${RETRY}\n`, eventText('hello', hello, id), ...texts, `id: ${positionText(position)}\n\n`]);
      return reader.stream;
    } catch (error) {
      reader.end();
      throw error;
    }
  }

  /** Ends every stream, and takes no more readers. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    if (this.#linger !== null) clearTimeout(this.#linger);
    this.#unsubscribe();
    for (const reader of [...this.#readers]) reader.end();
    const watch = await this.#watch?.catch(() => null);
    watch?.stop();
  }

  /** What a reader has missed, as far as it is known, and of which kinds of events some may be lost to it. */
  async #since(
    watch: Watch,
    from: Position | null,
    now: Position,
  ): Promise<{ readonly texts: readonly string[]; readonly missed: readonly EventKind[] }> {
    if (from === null) return { texts: [], missed: EVENT_KINDS };
    if (from.watch === now.watch) {
      const texts = watch.history.after(from.number);
      return texts === null ? { texts: [], missed: EVENT_KINDS } : { texts, missed: [] };
    }
    const texts = await this.#changes(from, now);
    return texts === null
      ? { texts: [], missed: EVENT_KINDS }
      : { texts, missed: EVENT_KINDS.filter((kind) => kind !== 'change') };
  }

  /** The changes between two places in the log, which is the same on all control planes; null: it does not lead from one to the other. */
  async #changes(from: Position, now: Position): Promise<readonly string[] | null> {
    const texts: string[] = [];
    let { serial, commit } = from;
    while (serial < now.serial) {
      const page = await this.#options.log.after(serial);
      if (page === null || page.commits.length === 0 || commitMark(page.from) !== commit) return null;
      for (const one of page.commits) {
        if (one.serial > now.serial) break;
        ({ serial } = one);
        commit = commitMark(one.commit);
        for (const { kind, data } of changeOf(one)) {
          texts.push(eventText(kind, data, positionText({ ...from, serial, commit })));
        }
        if (texts.length > MOST_REPLAYED) return null;
      }
    }
    return commit === now.commit ? texts : null;
  }

  #watching(): Promise<Watch> {
    if (this.#linger !== null) clearTimeout(this.#linger);
    this.#linger = null;
    if (this.#watch === null) {
      const beginning = Watch.begin(this.#options, (text) => this.#tell(text));
      this.#watch = beginning;
      // Whoever comes next tries again.
      beginning.catch(() => {
        if (this.#watch === beginning) this.#watch = null;
      });
    }
    return this.#watch;
  }

  #tell(text: string): void {
    for (const reader of this.#readers) reader.tell(text);
  }

  #left(reader: Reader): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0 || this.#closed || this.#linger !== null) return;
    this.#linger = setTimeout(() => {
      const watch = this.#watch;
      this.#watch = null;
      this.#linger = null;
      void watch?.then(
        (one) => one.stop(),
        () => undefined,
      );
    }, LINGER);
    this.#linger.unref();
  }
}
