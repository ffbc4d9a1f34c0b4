import { isRecord, type Row } from '../../../shared/record.ts';
import type { HeaderFields } from '../../http/fields.ts';

/** Whom a request was found to come from. */
export interface AuthenticatedConsumer {
  readonly id: string;
  readonly username: string | null;
  readonly custom_id: string | null;
  /** The whole entity. */
  readonly row: Row;
}

/** What that was found by. */
export interface AuthenticatedCredential {
  /** Null for one that no entity is kept of. */
  readonly id: string | null;
  /** What `X-Credential-Identifier` shows; null: nothing. */
  readonly identifier: string | null;
  /** The entity, as data planes have it; absent: none is kept of it. */
  readonly row?: Row;
  /** What of the entity travels as a digest, as the client showed it (`key` of key-auth). */
  readonly key?: string;
}

/** A consumer group the consumer is in. */
export interface ConsumerGroup {
  readonly id: string;
  readonly name: string;
}

/** Who sends a request, as authentication plugins found out (`kong.client`). */
export interface Identity {
  readonly consumer: AuthenticatedConsumer | null;
  /** Null for an anonymous consumer, too. */
  readonly credential: AuthenticatedCredential | null;
  /** Groups that the authentication itself named (LDAP, a token's claims); null: none did. */
  authenticatedGroups: readonly string[] | null;
  /** Whom of the consumer's users the authentication itself named (oauth2); null: it named nobody. */
  authenticatedUser: string | null;
  /** Marks the request as authenticated and tells the upstream who it is, in Kong's headers. Null credential: anonymous. */
  authenticate(consumer: AuthenticatedConsumer | null, credential: AuthenticatedCredential | null): void;
  /** As `authenticate`, but the upstream is told nothing: its headers are those that whoever says this sets. */
  assume(consumer: AuthenticatedConsumer | null, credential: AuthenticatedCredential | null): void;
  /** The consumer groups of the consumer, by name; read from the bundle when first asked for. */
  consumerGroups(): readonly ConsumerGroup[] | Promise<readonly ConsumerGroup[]>;
}

/** What the identity of a request needs of it. */
interface Identified {
  readonly headers: HeaderFields;
  lookup(table: string, value: string): Row | null | Promise<Row | null>;
  lookupAll(table: string, value: string): readonly Row[] | Promise<readonly Row[]>;
}

/** Reads group rows by id, which every isolate holds. */
export type GroupsById = Pick<ReadonlyMap<string, ConsumerGroup>, 'get'>;

export class RequestIdentity implements Identity {
  consumer: AuthenticatedConsumer | null = null;
  credential: AuthenticatedCredential | null = null;
  authenticatedGroups: readonly string[] | null = null;
  authenticatedUser: string | null = null;
  readonly #request: Identified;
  readonly #groups: GroupsById;
  #consumerGroups: readonly ConsumerGroup[] | Promise<readonly ConsumerGroup[]> | null = null;

  constructor(request: Identified, groups: GroupsById) {
    this.#request = request;
    this.#groups = groups;
  }

  assume(consumer: AuthenticatedConsumer | null, credential: AuthenticatedCredential | null): void {
    if (consumer?.id !== this.consumer?.id) this.#consumerGroups = null;
    this.consumer = consumer;
    this.credential = credential;
  }

  authenticate(consumer: AuthenticatedConsumer | null, credential: AuthenticatedCredential | null): void {
    this.assume(consumer, credential);
    const { headers } = this.#request;
    setOrClear(headers, 'X-Consumer-ID', consumer?.id);
    setOrClear(headers, 'X-Consumer-Custom-ID', consumer?.custom_id);
    setOrClear(headers, 'X-Consumer-Username', consumer?.username);
    setOrClear(headers, 'X-Credential-Identifier', credential?.identifier);
    setOrClear(headers, 'X-Anonymous-Consumer', credential === null ? 'true' : null);
  }

  consumerGroups(): readonly ConsumerGroup[] | Promise<readonly ConsumerGroup[]> {
    if (this.consumer === null) return NO_GROUPS;
    if (this.#consumerGroups === null) {
      const rows = this.#request.lookupAll('consumer_group_consumers', this.consumer.id);
      this.#consumerGroups = rows instanceof Promise ? rows.then((found) => this.#named(found)) : this.#named(rows);
    }
    return this.#consumerGroups;
  }

  #named(memberships: readonly Row[]): readonly ConsumerGroup[] {
    if (memberships.length === 0) return NO_GROUPS;
    return memberships
      .flatMap(({ consumer_group: group }) => {
        const id = isRecord(group) && typeof group.id === 'string' ? group.id : '';
        return this.#groups.get(id) ?? [];
      })
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

const NO_GROUPS: readonly ConsumerGroup[] = [];

function setOrClear(headers: HeaderFields, name: string, value: string | null | undefined): void {
  if (value === null || value === undefined) headers.delete(name);
  else headers.set(name, value);
}
