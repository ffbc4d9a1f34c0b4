import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { isRecord } from '../../../shared/record.ts';
import type { Cache, Records, Services } from '../runtime/services.ts';
import { Seal, toBase64Url } from './sealing.ts';
import type { SessionSettings } from './settings.ts';

/** Who a session is of, for one audience. */
export interface Person {
  readonly consumer: string;
  readonly credential: string;
  readonly groups: readonly string[] | null;
  readonly subject: string;
  /** Login, in Unix seconds: renewals keep it. */
  readonly began: number;
}

/** Times in Unix seconds. */
export interface Session {
  readonly id: string;
  /** This id. */
  readonly created: number;
  /** Last sign of life that was written into the cookie. */
  readonly touched: number;
  /** By audience: several applications may share one cookie. */
  readonly people: Readonly<Record<string, Person>>;
  /** It was made anew under another id: what is on its way with this one is taken, and no more. */
  readonly stale: boolean;
}

/** What a cookie is for. */
export type Kind = 'session' | 'remember';

/** Seconds a kept session that was found is known without asking. */
const BELIEVED = 1;
const REMEMBERED_BYTES = 2 << 20;

interface Timeouts {
  readonly idling: number;
  readonly rolling: number;
  readonly absolute: number;
}

/**
 * Sessions as cookies hold them: the whole sealed in the cookie, or, with storage `kong`, the times and an id there, and who it is
 * in records that all data planes share (`/sessions` at the Admin API).
 */
export class Sessions {
  readonly #seal: Seal;
  readonly #records: Records | null;
  readonly #lately: Cache<string>;
  readonly #timeouts: Readonly<Record<Kind, Timeouts>>;
  readonly #staleTtl: number;

  constructor(config: SessionSettings, secret: string, services: Services) {
    this.#seal = new Seal(secret);
    this.#records = config.storage === 'kong' ? services.records('sessions.session_id', 'cluster') : null;
    this.#lately = services.cache('sessions', { maxBytes: REMEMBERED_BYTES });
    this.#timeouts = {
      session: {
        idling: config.idling_timeout,
        rolling: config.rolling_timeout,
        absolute: config.absolute_timeout,
      },
      remember: {
        idling: 0,
        rolling: config.remember_rolling_timeout,
        absolute: config.remember_absolute_timeout,
      },
    };
    this.#staleTtl = config.stale_ttl;
  }

  begin(people: Session['people']): Session {
    const now = seconds();
    return { id: newId(), created: now, touched: now, people, stale: false };
  }

  /** The same under a new id. */
  renewed(session: Session): Session {
    const now = seconds();
    return { ...session, id: newId(), created: now, touched: now, stale: false };
  }

  /** Null: it is none of this secret, its time is over, or it was ended. */
  async open(cookie: string, kind: Kind): Promise<Session | null> {
    const head = parsed(await this.#seal.open(cookie, kind));
    if (head === null || this.#left(head, kind) <= 0) return null;
    if (this.#records === null) return head;
    const key = digestOf(head.id);
    const sealed = this.#lately.get(key) ?? (await this.#kept(key));
    const body = sealed === null ? null : parsed(await this.#seal.open(sealed, `${kind} data`));
    return body === null || body.id !== head.id ? null : { ...head, people: body.people, stale: body.stale };
  }

  /** Who it is of for an audience; undefined: nobody, or no longer. */
  person(session: Session, audience: string, kind: Kind): Person | undefined {
    const person = session.people[audience];
    return person !== undefined && this.#sinceLogin(person, kind) > 0 ? person : undefined;
  }

  #sinceLogin({ began }: Person, kind: Kind): number {
    return left(this.#timeouts[kind].absolute, began);
  }

  async #kept(key: string): Promise<string | null> {
    const row = await this.#records?.get(key);
    if (!isRecord(row) || typeof row.data !== 'string') return null;
    this.#lately.set(key, row.data, BELIEVED, row.data.length * 2);
    return row.data;
  }

  /** Keeps it where it has to be kept, and gives its cookie. */
  async save(session: Session, kind: Kind): Promise<string> {
    await this.#keep(session, kind);
    return this.touch(session, kind);
  }

  /** Its cookie alone: whom it is of has not changed. */
  touch(session: Session, kind: Kind): Promise<string> {
    const people = this.#records === null ? session.people : {};
    return this.#seal.close(written({ ...session, people }), kind);
  }

  /** Idling is a matter of the cookie, which is touched without what is kept. */
  async #keep(session: Session, kind: Kind, atMost = Number.POSITIVE_INFINITY): Promise<void> {
    if (this.#records === null) return;
    const logins = Object.values(session.people).map((person) => this.#sinceLogin(person, kind));
    const ttl = Math.min(atMost, left(this.#timeouts[kind].rolling, session.created), Math.max(...logins));
    const lives = Number.isFinite(ttl) ? Math.max(1, Math.ceil(ttl)) : 0;
    const row = {
      id: uuidOf(session.id),
      session_id: digestOf(session.id),
      expires: lives === 0 ? null : seconds() + lives,
      data: await this.#seal.close(written(session), `${kind} data`),
    };
    await this.#records.put(row.session_id, row, lives, { session_id: session.id });
  }

  /** Others may be on their way with it still. */
  async replace(session: Session, kind: Kind): Promise<void> {
    // Once: each that comes late would put its end off.
    if (session.stale) return;
    this.#lately.delete(digestOf(session.id));
    if (this.#staleTtl > 0) await this.#keep({ ...session, stale: true }, kind, this.#staleTtl);
    else await this.end(session);
  }

  async end({ id }: Session): Promise<void> {
    const key = digestOf(id);
    this.#lately.delete(key);
    await this.#records?.delete(key);
  }

  /** Seconds until a new id is due; 0 or less: it is. In the last quarter of its time. */
  untilRenewal({ created }: Session, kind: Kind): number {
    return left(this.#timeouts[kind].rolling * 0.75, created);
  }

  /** Seconds left by each timeout; infinite for one that is off. */
  timeouts({ created, touched }: Session, person: Person, kind: Kind): Timeouts {
    const { idling, rolling } = this.#timeouts[kind];
    return { idling: left(idling, touched), rolling: left(rolling, created), absolute: this.#sinceLogin(person, kind) };
  }

  #left({ created, touched }: Session, kind: Kind): number {
    const { idling, rolling } = this.#timeouts[kind];
    return Math.min(left(idling, touched), left(rolling, created));
  }
}

/** Seconds of a timeout that are left, from when it began; 0: there is none. */
function left(timeout: number, since: number): number {
  return timeout === 0 ? Number.POSITIVE_INFINITY : since + timeout - seconds();
}

export function seconds(): number {
  return Math.floor(Date.now() / 1000);
}

function newId(): string {
  return toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
}

function digestOf(text: string): string {
  return bytesToHex(sha256(new TextEncoder().encode(text)));
}

/** The id of the row a session has at the Admin API. */
function uuidOf(id: string): string {
  const digits = digestOf(`row of ${id}`);
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `4${digits.slice(13, 16)}`,
    `8${digits.slice(17, 20)}`,
    digits.slice(20, 32),
  ].join('-');
}

function written({ id, created, touched, people, stale }: Session): string {
  return JSON.stringify([id, created, touched, people, ...(stale ? [true] : [])]);
}

/** What `written` wrote: nobody else could. */
function parsed(text: string | null): Session | null {
  if (text === null) return null;
  const read: unknown = JSON.parse(text);
  if (!Array.isArray(read)) return null;
  const [id, created, touched, people, stale] = read;
  return {
    id: String(id),
    created: Number(created),
    touched: Number(touched),
    people: isRecord(people) ? Object.fromEntries(Object.entries(people).flatMap(readPerson)) : {},
    stale: stale === true,
  };
}

function readPerson([audience, value]: [string, unknown]): [string, Person][] {
  if (!isRecord(value)) return [];
  const { consumer, credential, groups, subject, began } = value;
  const person = {
    consumer: String(consumer),
    credential: String(credential),
    groups: Array.isArray(groups) ? groups.map(String) : null,
    subject: String(subject),
    began: Number(began),
  };
  return [[audience, person]];
}
