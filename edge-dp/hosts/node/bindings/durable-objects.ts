import type { DatabaseSync } from 'node:sqlite';
import { DurableStorage } from './durable-storage.ts';
import { requestOf } from './request-of.ts';

/** What a Durable Object class of the Worker has. */
interface DurableInstance {
  fetch?(request: Request): Response | Promise<Response>;
  alarm?(): Promise<void>;
}

export type DurableClass = new (state: DurableState, env: object) => DurableInstance;

/** An alarm that failed is tried again after a pause, doubled up to the longest. Milliseconds. */
const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 60_000;
/** The longest Node's timers keep. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * The objects of one class: made when they are asked for first, or when an alarm of theirs is due. They live in this process. No alarm
 * rings before `wake`.
 */
export class DurableNamespace {
  readonly #className: string;
  readonly #make: DurableClass;
  readonly #env: object;
  readonly #database: DatabaseSync;
  readonly #objects = new Map<string, LivingObject>();
  #awake = false;

  constructor(className: string, make: DurableClass, env: object, database: DatabaseSync) {
    this.#className = className;
    this.#make = make;
    this.#env = env;
    this.#database = database;
  }

  idFromName(name: string): string {
    return name;
  }

  get(name: string): { fetch(input: Request | string | URL, init?: RequestInit): Promise<Response> } {
    const object = this.#living(name);
    return { fetch: (input, init) => object.fetch(requestOf(input, init)) };
  }

  /** The object itself, once its beginning is over, for who shares its process: not to be kept, since a later event may find another. */
  instance(name: string): Promise<DurableInstance> {
    return this.#living(name).awake();
  }

  /** Lets alarms ring, and brings those back whose alarm was set when the process ended. */
  wake(): void {
    this.#awake = true;
    for (const object of this.#objects.values()) object.resume();
    const prefix = `${this.#className}:`;
    const rows = this.#database.prepare('SELECT object FROM alarm WHERE object >= ? AND object < ?');
    for (const { object } of rows.all(prefix, `${prefix}\u{10ffff}`)) this.#living(String(object).slice(prefix.length));
  }

  stop(): void {
    for (const object of this.#objects.values()) object.forget();
  }

  #living(name: string): LivingObject {
    let object = this.#objects.get(name);
    if (object === undefined) {
      object = new LivingObject(this.#make, this.#env, this.#database, `${this.#className}:${name}`, () => this.#awake);
      this.#objects.set(name, object);
    }
    return object;
  }
}

/** The state that a class is given. */
class DurableState {
  readonly storage: DurableStorage;
  /** Events wait for it. */
  gate: Promise<unknown> = Promise.resolve();

  constructor(storage: DurableStorage) {
    this.storage = storage;
  }

  blockConcurrencyWhile<T>(work: () => Promise<T>): Promise<T> {
    const done = this.gate.then(work);
    this.gate = done;
    // Events are told; whoever called need not ask.
    done.catch(() => undefined);
    return done;
  }

  waitUntil(work: Promise<unknown>): void {
    work.catch((error: unknown) => console.error('work of the node failed:', error));
  }
}

/** An instance, from its beginning on. */
interface Life {
  readonly state: DurableState;
  readonly instance: DurableInstance;
}

class LivingObject {
  readonly #make: DurableClass;
  readonly #env: object;
  readonly #storage: DurableStorage;
  readonly #mayRing: () => boolean;
  #life: Life | null = null;
  #timer: NodeJS.Timeout | null = null;
  #failures = 0;
  #ringing = false;
  /** Its alarm fell due while the one before was ringing still. */
  #late = false;

  constructor(make: DurableClass, env: object, database: DatabaseSync, object: string, mayRing: () => boolean) {
    this.#make = make;
    this.#env = env;
    this.#mayRing = mayRing;
    this.#storage = new DurableStorage(database, object, (at) => this.#set(at));
    this.resume();
  }

  /** Goes by the alarm that is set. */
  resume(): void {
    this.#set(this.#storage.alarm);
  }

  async fetch(request: Request): Promise<Response> {
    const instance = await this.awake();
    if (instance.fetch === undefined) throw new Error('this object answers no requests');
    return instance.fetch(request);
  }

  forget(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#late = false;
  }

  /**
   * The instance, once its beginning is over. One whose beginning failed knows nothing of what it has kept: as on Workers it is given
   * up, and the next event makes another.
   */
  async awake(): Promise<DurableInstance> {
    this.#life ??= this.#begin();
    const life = this.#life;
    try {
      await life.state.gate;
    } catch (error) {
      if (this.#life === life) this.#life = null;
      throw error;
    }
    return life.instance;
  }

  #begin(): Life {
    const state = new DurableState(this.#storage);
    return { state, instance: new this.#make(state, this.#env) };
  }

  #set(at: number | null): void {
    this.forget();
    if (at === null || !this.#mayRing()) return;
    const pause = Math.min(Math.max(at - Date.now(), 0), LONGEST_TIMER);
    this.#timer = setTimeout(() => void this.#ring(), pause);
  }

  /** One alarm at a time; what it sets while it rings comes after it. */
  async #ring(): Promise<void> {
    this.#timer = null;
    const storage = this.#storage;
    if (this.#ringing) {
      this.#late = true;
      return;
    }
    this.#ringing = true;
    try {
      storage.ring();
      const instance = await this.awake();
      await instance.alarm?.();
      storage.rang();
      this.#failures = 0;
    } catch (error) {
      console.error('an alarm of the node failed:', error);
      const pause = Math.min(FIRST_PAUSE * 2 ** this.#failures, LONGEST_PAUSE);
      this.#failures += 1;
      if (storage.alarm === null) await storage.setAlarm(Date.now() + pause);
    } finally {
      this.#ringing = false;
      if (this.#late) this.resume();
    }
  }
}
