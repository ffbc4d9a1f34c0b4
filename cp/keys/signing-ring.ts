import { rmSync } from 'node:fs';
import type { PublicKeyJwk } from '../../shared/bundle/format.ts';
import { type KeyStatement, readStatement, signStatement, without } from '../../shared/bundle/key-statement.ts';
import { generateSigningKey } from '../../shared/bundle/signing.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Log } from '../instance/log.ts';
import { PkiError } from '../pki/error.ts';
import type { PublisherKeys } from '../publisher/publisher.ts';
import type { SigningKeyLog, StatementRow } from '../store/store.ts';
import { DatabaseUnavailable } from '../store/unavailable.ts';
import { fileOfKey, findKeyFile, type KeyFile, keepKeyFile, parseKeyFile, readKeyFile } from './key-file.ts';
import { seal, unseal } from './sealing.ts';

/** Where the keys are, from settings. */
export interface SigningKeyFiles {
  /** `bundle_signing_key`. */
  readonly file: string;
  /** `bundle_introduced_keys`. */
  readonly introduced: readonly PublicKeyJwk[];
}

interface SigningRingOptions extends SigningKeyFiles {
  readonly store: SigningKeyLog;
  readonly log: Log;
}

/** A change of keys that cannot be made. */
export class KeyRefusal extends Error {
  override readonly name = 'KeyRefusal';
  readonly status: 400 | 404 | 409 | 503;

  constructor(status: KeyRefusal['status'], message: string) {
    super(message);
    this.status = status;
  }
}

/** A key as people see it. */
export interface ListedKey {
  readonly kid: string;
  /** `signing`: control planes sign with it; `trusted`: data planes take what it has signed; `revoked`: they do not. */
  readonly state: 'signing' | 'trusted' | 'revoked';
  /** Whether this control plane has its private half. */
  readonly here: boolean;
  readonly public_key: PublicKeyJwk;
}

/** Milliseconds between looks where the database told nothing. */
const LOOK_AGAIN = 30_000;

/**
 * The signing keys of the cluster as one control plane has them. What counts stands in the database, as signed statements;
 * private halves come from files, or sealed from the database. A control plane signs with the key that is named last where it
 * has it, else with any it has that is still trusted, so that no rotation keeps config from data planes.
 */
export class SigningRing {
  readonly #options: SigningRingOptions;
  #files: SigningKeyFiles;
  readonly #held = new Map<string, KeyFile>();
  /** Of `bundle_signing_key`. */
  #own: KeyFile;
  #rows: readonly StatementRow[] = [];
  #last: KeyStatement | null = null;
  #changed: (keys: Required<PublisherKeys>) => Promise<void> = async () => {};
  #serial: () => number = () => 0;
  #complaint = '';
  #busy: Promise<unknown> = Promise.resolve();
  readonly #timer: NodeJS.Timeout;
  #unsubscribe: () => void = () => {};

  private constructor(options: SigningRingOptions, own: KeyFile) {
    this.#options = options;
    this.#files = options;
    this.#own = own;
    this.#timer = setInterval(() => void this.follow(), LOOK_AGAIN);
    this.#timer.unref();
  }

  /** Throws `PkiError` where no key can be signed with. */
  static async open(options: SigningRingOptions): Promise<SigningRing> {
    const ring = new SigningRing(options, await readKeyFile(options.file));
    try {
      await ring.#read();
      const { fault } = ring.keys();
      if (fault !== null) throw new PkiError(fault);
    } catch (error) {
      ring.stop();
      throw error;
    }
    return ring;
  }

  /** From here on `changed` is told of other keys; `serial` is what is published. */
  start(serial: () => number, changed: (keys: Required<PublisherKeys>) => Promise<void>): void {
    this.#serial = serial;
    this.#changed = changed;
    this.#unsubscribe = this.#options.store.subscribe(() => void this.follow());
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#unsubscribe();
  }

  /** What bundles are signed with. */
  keys(): Required<PublisherKeys> {
    const trusted = this.#trusted;
    const choice = [this.#last?.signing, this.#own.key.publicKey.kid, ...trusted.map(({ kid }) => kid).toReversed()];
    const chosen = choice.find(
      (kid) => kid !== undefined && this.#held.has(kid) && trusted.some((one) => one.kid === kid),
    );
    const file = chosen === undefined ? undefined : this.#held.get(chosen);
    return {
      signing: (file ?? this.#own).key,
      introduced: this.#files.introduced,
      statements: this.#rows.map(({ statement }) => statement),
      trusted,
      fault: file === undefined ? this.#lacking() : null,
    };
  }

  list(): readonly ListedKey[] {
    const signing = this.#last?.signing ?? this.#own.key.publicKey.kid;
    const listed = (key: PublicKeyJwk, state: ListedKey['state']) => ({
      kid: key.kid,
      state,
      here: this.#held.has(key.kid),
      public_key: key,
    });
    return [
      ...this.#trusted.map((key) => listed(key, key.kid === signing ? 'signing' : 'trusted')),
      ...(this.#last?.revoked ?? []).map((key) => listed(key, 'revoked')),
    ];
  }

  get cluster(): string {
    return this.#own.key.cluster;
  }

  /**
   * A new key that all control planes sign with from now on. By hand: its private half is in no database, and the returned file
   * has to be brought to the other control planes, which sign with the key before it until they have it. Throws `KeyRefusal`.
   */
  rotate(byHand: boolean): Promise<{ readonly kid: string; readonly file: string }> {
    return this.#alone(async () => {
      const by = await this.#signer();
      const { privateFile } = await generateSigningKey(this.cluster);
      const next = await parseKeyFile(privateFile);
      const { publicKey } = next.key;
      const file = fileOfKey(this.#files.file, publicKey.kid);
      try {
        keepKeyFile(this.#files.file, next);
      } catch (error) {
        // Sealed in the database it is not lost; by hand there would be no other place for it.
        if (byHand) throw new KeyRefusal(503, messageOf(error));
      }
      const sealed = byHand ? null : seal(privateFile, publicKey.kid, by);
      this.#held.set(publicKey.kid, next);
      await this.#say({ signing: publicKey.kid, keys: [...this.#trusted, publicKey] }, by, sealed, () => {
        // A private key that nobody trusts is of no use, and looks like one that is.
        this.#held.delete(publicKey.kid);
        rmSync(file, { force: true });
      });
      return { kid: publicKey.kid, file };
    });
  }

  /** Has data planes trust one more key, whose private half is kept elsewhere for the day that all others are lost. */
  spare(publicKey: PublicKeyJwk): Promise<void> {
    return this.#alone(async () => {
      const by = await this.#signer();
      if (this.list().some(({ kid }) => kid === publicKey.kid)) {
        throw new KeyRefusal(409, `key ${publicKey.kid} is known already`);
      }
      await this.#say({ keys: [...this.#trusted, publicKey] }, by, null);
    });
  }

  /** Has no data plane believe a key any more. Throws `KeyRefusal`. */
  revoke(kid: string): Promise<void> {
    return this.#alone(async () => {
      const by = await this.#signer();
      const found = this.list().find((key) => key.kid === kid);
      if (found === undefined) throw new KeyRefusal(404, `no signing key ${kid}: see 'holdfast keys list'`);
      if (found.state === 'revoked') throw new KeyRefusal(409, `signing key ${kid} is revoked already`);
      if (found.state === 'signing' || by.key.publicKey.kid === kid) {
        throw new KeyRefusal(409, `control planes sign with key ${kid}: 'holdfast keys rotate' first`);
      }
      const revoked = [...(this.#last?.revoked ?? []), found.public_key];
      await this.#say({ keys: without(this.#trusted, revoked), revoked }, by, null);
    });
  }

  /** Takes over what the database says. Never throws. */
  follow(): Promise<void> {
    return this.#alone(() => this.#follow()).catch((error: unknown) => {
      this.#options.log('warn', `signing keys cannot be read: ${messageOf(error)}`);
    });
  }

  /** Other files. Throws `PkiError`, with nothing changed, where they do not do. */
  reload(files: SigningKeyFiles): Promise<void> {
    return this.#alone(async () => {
      const own = await readKeyFile(files.file);
      if (own.key.cluster !== this.cluster) {
        throw new PkiError('bundle_signing_key: the key is of another cluster, which needs a restart');
      }
      const before = { own: this.#own, files: this.#files };
      this.#own = own;
      this.#files = files;
      try {
        await this.#read();
        const { fault } = this.keys();
        if (fault !== null) throw new PkiError(fault);
      } catch (error) {
        ({ own: this.#own, files: this.#files } = before);
        throw error;
      }
      await this.#changed(this.keys());
    });
  }

  get #trusted(): readonly PublicKeyJwk[] {
    return this.#last?.keys ?? [this.#own.key.publicKey];
  }

  async #follow(): Promise<void> {
    const before = fingerprint(this.keys());
    await this.#read();
    const keys = this.keys();
    if (fingerprint(keys) === before) return;
    const told = keys.fault ?? `signing with key ${keys.signing.publicKey.kid}`;
    if (told !== this.#complaint) this.#options.log(keys.fault === null ? 'notice' : 'error', `signing keys: ${told}`);
    this.#complaint = told;
    await this.#changed(keys);
  }

  async #read(): Promise<void> {
    const { store, log } = this.#options;
    this.#rows = await store.read();
    const statements = this.#rows.map(({ statement }) => readStatement(statement));
    this.#last = statements.at(-1) ?? null;
    this.#held.set(this.#own.key.publicKey.kid, this.#own);
    for (const { kid } of this.#trusted) {
      if (this.#held.has(kid)) continue;
      const beside = await findKeyFile(this.#files.file, kid);
      if (beside !== null) this.#held.set(kid, beside);
    }
    for (const [place, { sealed }] of this.#rows.entries()) {
      const kid = statements[place]?.signing ?? '';
      if (sealed === null || this.#held.has(kid)) continue;
      const text = unseal(sealed, kid, this.#held);
      if (text === null) continue;
      const opened = await parseKeyFile(text);
      this.#held.set(kid, opened);
      try {
        keepKeyFile(this.#files.file, opened);
      } catch (error) {
        log('warn', `signing key ${kid} cannot be kept, so ${this.#files.file} stays needed: ${messageOf(error)}`);
      }
    }
  }

  /** The key to sign a statement with, from the newest that the database has. */
  async #signer(): Promise<KeyFile> {
    await this.#follow();
    const { signing, fault } = this.keys();
    const file = this.#held.get(signing.publicKey.kid);
    if (fault !== null || file === undefined) throw new KeyRefusal(409, fault ?? 'no signing key');
    return file;
  }

  /** `undo` is called where it is certain that nothing was changed. */
  async #say(
    change: Partial<Pick<KeyStatement, 'signing' | 'keys' | 'revoked'>>,
    by: KeyFile,
    sealed: StatementRow['sealed'],
    undo: () => void = () => {},
  ): Promise<void> {
    const now = Math.floor(Date.now() / 1000);
    const statement: KeyStatement = {
      cluster: this.cluster,
      // Data planes may have followed further than a database that was restored knows.
      number: Math.max((this.#last?.number ?? 0) + 1, now),
      issued_at: now,
      serial: this.#serial(),
      signing: this.#last?.signing ?? by.key.publicKey.kid,
      keys: this.#trusted,
      revoked: this.#last?.revoked ?? [],
      ...change,
    };
    const row = { number: statement.number, statement: await signStatement(statement, by.key), sealed };
    const isKept = await this.#options.store.append(row, this.#last?.number ?? null).catch((error: unknown) => {
      if (error instanceof DatabaseUnavailable && !error.uncertain) undo();
      throw error;
    });
    if (!isKept) {
      undo();
      throw new KeyRefusal(409, 'another control plane changed the signing keys just now: look at them, and try again');
    }
    await this.#follow();
  }

  #lacking(): string {
    const kids = this.#trusted.map(({ kid }) => kid);
    const own = this.#own.key.publicKey.kid;
    return (
      `bundle_signing_key: ${this.#files.file} holds key ${own}, which data planes do not believe any more; bring one of ` +
      `${kids.map((kid) => fileOfKey(this.#files.file, kid)).join(', ')} from another control plane`
    );
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(work);
    this.#busy = done.catch(() => undefined);
    return done;
  }
}

function fingerprint({ signing, statements, fault }: Required<PublisherKeys>): string {
  return `${signing.publicKey.kid} ${statements.length} ${fault}`;
}
