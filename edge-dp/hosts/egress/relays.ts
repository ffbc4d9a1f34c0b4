import { rmSync } from 'node:fs';
import type { Server } from 'node:net';
import type { RelayPlace } from './messages.ts';
import { type RelayTarget, relay } from './relay.ts';

/** A relay that listens at a path of its own. */
interface OwnRelay {
  target: RelayTarget;
  readonly server: Server;
}

/** The relays of this process: on listening sockets it was given, and on those it opens itself. */
export class Relays {
  /** Descriptor of the first socket it was given. */
  readonly #first: number;
  /** Where those that were given lead now. */
  #given: readonly RelayTarget[] = [];
  #listening = 0;
  readonly #own = new Map<string, OwnRelay>();
  /** Paths that the Workers of the plan before may still connect to. */
  #before: readonly string[] = [];

  constructor(first: number) {
    this.#first = first;
  }

  /** Resolves when all of them listen; one that cannot is told of. Connections there are stay. */
  async goBy(places: readonly RelayPlace[]): Promise<void> {
    this.#given = places.filter(({ path }) => path === null);
    while (this.#listening < this.#given.length) {
      const place = this.#listening++;
      relay(() => this.#given[place]).listen({ fd: this.#first + place });
    }
    const paths = new Set<string>();
    for (const { path, ...target } of places) {
      if (path === null) continue;
      paths.add(path);
      await this.#open(path, target);
    }
    for (const [path, { server }] of this.#own) {
      if (paths.has(path) || this.#before.includes(path)) continue;
      server.close();
      this.#own.delete(path);
    }
    this.#before = [...paths];
  }

  async #open(path: string, target: RelayTarget): Promise<void> {
    const there = this.#own.get(path);
    if (there !== undefined) {
      there.target = target;
      return;
    }
    const own: OwnRelay = { target, server: relay(() => own.target) };
    // Left by a process that was killed.
    rmSync(path, { force: true });
    await new Promise<void>((resolve) => {
      own.server.once('error', (error) => {
        console.warn(`a relay cannot listen at ${path}: ${error.message}`);
        this.#own.delete(path);
        resolve();
      });
      own.server.listen(path, resolve);
    });
    if (own.server.listening) this.#own.set(path, own);
  }
}
