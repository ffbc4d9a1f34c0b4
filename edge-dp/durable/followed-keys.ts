import { followStatements, type KeyTrust } from '../../shared/bundle/key-statement.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { WorkerSettings } from '../settings.ts';

/** Told of keys that were revoked: their ids, and the serial from which config goes on. */
type Revoked = (kids: ReadonlySet<string>, serial: number) => Promise<void>;

/**
 * The statements about signing keys that this node follows, kept apart from the cache: who replaces that by an older one does
 * not bring a key back.
 */
export class FollowedKeys {
  readonly #settings: WorkerSettings;
  readonly #storage: DurableObjectStorage;
  readonly #notice: (message: string) => void;
  #statements: readonly string[] = [];
  #settled: Promise<void> = Promise.resolve();
  #complaint = '';

  constructor(settings: WorkerSettings, storage: DurableObjectStorage, notice: (message: string) => void) {
    this.#settings = settings;
    this.#storage = storage;
    this.#notice = notice;
  }

  /** In order; they are worth what they lead to from the keys this node was given. */
  get statements(): readonly string[] {
    return this.#statements;
  }

  /** Resolves when all that came was followed or passed over. */
  get settled(): Promise<void> {
    return this.#settled;
  }

  async restore(): Promise<void> {
    this.#statements = (await this.#storage.get<readonly string[]>('keys')) ?? [];
  }

  /** Follows what is newer; one after the other. Never throws. */
  follow(statements: readonly string[], cluster: string | null, revoked: Revoked): Promise<void> {
    this.#settled = this.#settled.then(async () => {
      try {
        await this.#take(statements, cluster, revoked);
      } catch (error) {
        this.#notice(`signing keys: what the control plane says of them cannot be kept: ${messageOf(error)}`);
      }
    });
    return this.#settled;
  }

  async #take(statements: readonly string[], cluster: string | null, revoked: Revoked): Promise<void> {
    const { trustedKeys, cluster: own } = this.#settings;
    const known = await followStatements(trustedKeys, own ?? cluster, this.#statements);
    const next = await followStatements(trustedKeys, own ?? cluster, [...known.statements, ...statements]);
    this.#complain(next.faults);
    if (next.number === known.number) return;
    await this.#storage.put('keys', next.statements);
    this.#statements = next.statements;
    const kids = new Set(next.revoked.map(({ kid }) => kid));
    if (next.serial !== null) await revoked(kids, next.serial);
    this.#notice(`signing keys: ${changes(known, next)}`);
  }

  /** What is signed by nobody who is trusted may be an attempt to have this node follow a stranger. */
  #complain(faults: readonly string[]): void {
    const complaint = faults.at(-1) ?? '';
    if (complaint !== '' && complaint !== this.#complaint) this.#notice(`signing keys: passed over, ${complaint}`);
    this.#complaint = complaint;
  }
}

function changes(before: KeyTrust, after: KeyTrust): string {
  const ids = (keys: KeyTrust['keys']) => keys.map(({ kid }) => kid);
  const known = new Set(ids(before.keys));
  const gone = new Set(ids(before.revoked));
  const added = ids(after.keys).filter((kid) => !known.has(kid));
  const revoked = ids(after.revoked).filter((kid) => !gone.has(kid));
  return (
    [...added.map((kid) => `${kid} is trusted`), ...revoked.map((kid) => `${kid} is revoked`)].join(', ') || 'as before'
  );
}
