import { indexTable } from '../../shared/bundle/lookup.ts';
import type { Row } from '../../shared/record.ts';
import { isRecord } from '../../shared/record.ts';
import { isUuid } from '../../shared/uuid.ts';
import type { HttpResponse } from '../http/messages.ts';
import { andThen } from './runtime/and-then.ts';
import type { AuthenticatedConsumer } from './runtime/identity.ts';
import type { Step } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';

/** Why a request is not taken for anybody's: Kong's answer to it. */
export interface Refusal {
  readonly status: number;
  readonly message?: string;
  /** A body of its own (`kong.response.exit`) in place of Kong's negotiated error. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * The access hook of an authentication plugin. `attempt` finds out who it is and says so (`request.identity.authenticate`), or
 * gives the refusal. With `anonymous` (an id or a username) several such plugins are alternatives: the first that finds a
 * credential is enough, and where none does the request goes on as the anonymous consumer's.
 */
export function authenticator(
  anonymous: string | null | undefined,
  attempt: (request: GatewayRequest) => Refusal | null | Promise<Refusal | null>,
): (request: GatewayRequest) => Step<HttpResponse> {
  return (request) => {
    // An anonymous consumer comes without a credential: the next plugin still tries.
    if (anonymous && request.identity.credential !== null) return undefined;
    const settle = (refusal: Refusal | null): Step<HttpResponse> => {
      if (refusal === null) return undefined;
      if (anonymous) return authenticateAnonymous(request, anonymous);
      if (refusal.body !== undefined) return request.exit(refusal.status, refusal.body, refusal.headers);
      return request.error(refusal.status, refusal.message, refusal.headers);
    };
    const refusal = attempt(request);
    return refusal instanceof Promise ? refusal.then(settle) : settle(refusal);
  };
}

async function authenticateAnonymous(request: GatewayRequest, anonymous: string): Promise<undefined> {
  const row = await findConsumer(request, anonymous);
  if (row === null) throw new Error(`the anonymous consumer ${anonymous} does not exist`);
  request.identity.authenticate(readConsumer(row), null);
  return undefined;
}

/** A consumer by id; by username, even one that looks like an id, when there is none of that id. */
export async function findConsumer(request: GatewayRequest, idOrUsername: string): Promise<Row | null> {
  const byId = isUuid(idOrUsername) ? await request.lookup('consumers', idOrUsername.toLowerCase()) : null;
  if (byId !== null) return byId;
  const named = await request.lookup(indexTable('consumers', 'username'), idOrUsername);
  return named === null ? null : request.lookup('consumers', String(named.id));
}

/** The consumer a credential row belongs to; null when the row or the consumer is gone. */
export function consumerOf(
  request: GatewayRequest,
  credential: Row,
): AuthenticatedConsumer | null | Promise<AuthenticatedConsumer | null> {
  const { consumer } = credential;
  if (!isRecord(consumer) || typeof consumer.id !== 'string') return null;
  return andThen(request.lookup('consumers', consumer.id), (row) => (row === null ? null : readConsumer(row)));
}

/**
 * Takes the request for one of the credential's consumer. `identifier` is what upstreams are told of the credential, `key` what of
 * it is not in the row. False: the consumer is gone.
 */
export function authenticateBy(
  request: GatewayRequest,
  credential: Row,
  identifier: string,
  key?: string,
): boolean | Promise<boolean> {
  return andThen(consumerOf(request, credential), (consumer) => {
    if (consumer === null) return false;
    const id = String(credential.id);
    request.identity.authenticate(
      consumer,
      key === undefined ? { id, identifier, row: credential } : { id, identifier, row: credential, key },
    );
    return true;
  });
}

/** The id of the consumer a credential row names. */
export function consumerIdOf(credential: Row | null): string | undefined {
  const consumer = credential?.consumer;
  return isRecord(consumer) && typeof consumer.id === 'string' ? consumer.id : undefined;
}

/** Whether a credential's `ttl` (as it travels: the Unix second it ends at) has run out. */
export function expired(credential: Row): boolean {
  return typeof credential.ttl === 'number' && credential.ttl * 1000 <= Date.now();
}

/** A row of `consumers`. */
export function readConsumer(row: Row): AuthenticatedConsumer {
  return {
    id: String(row.id),
    username: typeof row.username === 'string' ? row.username : null,
    custom_id: typeof row.custom_id === 'string' ? row.custom_id : null,
    row,
  };
}
