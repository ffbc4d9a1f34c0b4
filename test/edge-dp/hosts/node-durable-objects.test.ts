import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { DurableNamespace } from '../../../edge-dp/hosts/node/bindings/durable-objects.ts';
import { type DurableStorage, prepareDurableStorage } from '../../../edge-dp/hosts/node/bindings/durable-storage.ts';

let rung: string[] = [];

/** Sets its alarm to now when it is asked for anything. */
class Clock {
  readonly #storage: DurableStorage;

  constructor({ storage }: { readonly storage: DurableStorage }) {
    this.#storage = storage;
  }

  async fetch({ url }: Request): Promise<Response> {
    await this.#storage.put('name', url);
    await this.#storage.setAlarm(Date.now());
    return new Response(null);
  }

  async alarm(): Promise<void> {
    rung.push(String(await this.#storage.get('name')));
  }
}

beforeEach(() => {
  rung = [];
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

it('rings no alarm before it is woken, then those that were set meanwhile and by a process before', async () => {
  const database = new DatabaseSync(':memory:');
  prepareDurableStorage(database);
  const before = new DurableNamespace('Clock', Object(Clock), {}, database);
  await before.get('one').fetch('http://one/');
  const namespace = new DurableNamespace('Clock', Object(Clock), {}, database);
  await namespace.get('two').fetch('http://two/');
  await vi.advanceTimersByTimeAsync(5_000);
  expect(rung).toEqual([]);
  namespace.wake();
  await vi.advanceTimersByTimeAsync(1);
  expect(rung.toSorted()).toEqual(['http://one/', 'http://two/']);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(rung).toHaveLength(2);
  await namespace.get('three').fetch('http://three/');
  await vi.advanceTimersByTimeAsync(1);
  expect(rung).toHaveLength(3);
});

it('gives up an instance that could not read at its beginning what it has kept, and makes another for the next event', async () => {
  const database = new DatabaseSync(':memory:');
  prepareDurableStorage(database);
  let fails = true;
  class Keeper {
    #known = 'nothing';

    constructor(state: { blockConcurrencyWhile(work: () => Promise<void>): Promise<void> }) {
      void state.blockConcurrencyWhile(async () => {
        if (fails) throw new Error('the disk does not answer');
        this.#known = 'what was kept';
      });
    }

    async fetch(): Promise<Response> {
      return new Response(this.#known);
    }
  }
  const keeper = new DurableNamespace('Keeper', Object(Keeper), {}, database).get('one');
  await expect(keeper.fetch('http://one/')).rejects.toThrow('the disk does not answer');
  fails = false;
  expect(await (await keeper.fetch('http://one/')).text()).toBe('what was kept');
});

it('rings an alarm that falls due while the one before rings still as soon as that is over, without looking again and again', async () => {
  const database = new DatabaseSync(':memory:');
  prepareDurableStorage(database);
  const turns: PromiseWithResolvers<void>[] = [];
  class Slow {
    readonly #storage: DurableStorage;

    constructor({ storage }: { readonly storage: DurableStorage }) {
      this.#storage = storage;
    }

    async fetch(): Promise<Response> {
      await this.#storage.setAlarm(Date.now());
      return new Response(null);
    }

    async alarm(): Promise<void> {
      const turn = Promise.withResolvers<void>();
      turns.push(turn);
      await turn.promise;
    }
  }
  const namespace = new DurableNamespace('Slow', Object(Slow), {}, database);
  namespace.wake();
  const slow = namespace.get('one');
  await slow.fetch('http://one/');
  await vi.advanceTimersByTimeAsync(1);
  expect(turns).toHaveLength(1);
  await slow.fetch('http://one/');
  await vi.advanceTimersByTimeAsync(100);
  expect(vi.getTimerCount()).toBe(0);
  expect(turns).toHaveLength(1);
  turns[0]?.resolve();
  await vi.advanceTimersByTimeAsync(1);
  expect(turns).toHaveLength(2);
  turns[1]?.resolve();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(turns).toHaveLength(2);
  expect(vi.getTimerCount()).toBe(0);
});
