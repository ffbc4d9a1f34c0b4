import { indexTable } from '../../shared/bundle/lookup.ts';
import { isUuid } from '../../shared/uuid.ts';
import type { HeaderFields } from '../http/fields.ts';
import type { AuthenticatedConsumer, AuthenticatedCredential, RequestContext } from './plugin.ts';

/** Marks the request as authenticated and tells the upstream who it is, in Kong's headers. Null credential: anonymous. */
export function authenticate(
  request: RequestContext,
  consumer: AuthenticatedConsumer | null,
  credential: AuthenticatedCredential | null,
): void {
  request.consumer = consumer;
  request.credential = credential;
  const headers = request.upstreamHeaders;
  setOrClear(headers, 'X-Consumer-ID', consumer?.id);
  setOrClear(headers, 'X-Consumer-Custom-ID', consumer?.custom_id);
  setOrClear(headers, 'X-Consumer-Username', consumer?.username);
  setOrClear(headers, 'X-Credential-Identifier', credential?.identifier);
  setOrClear(headers, 'X-Anonymous-Consumer', credential === null ? 'true' : null);
}

/**
 * Takes the consumer an authentication plugin falls back to (`config.anonymous`, an id or a username). Throws when there is
 * none: as in Kong the client is told no more than that something is wrong, and the log which consumer is missing.
 */
export async function authenticateAnonymous(request: RequestContext, anonymous: string): Promise<undefined> {
  const row = await findConsumer(request, anonymous);
  if (row === null) throw new Error(`the anonymous consumer ${anonymous} is configured but doesn't exist`);
  authenticate(request, readConsumer(row), null);
}

/** A consumer by id; by username, even one that looks like an id, when there is none of that id. */
async function findConsumer(
  request: RequestContext,
  idOrUsername: string,
): Promise<Readonly<Record<string, unknown>> | null> {
  const byId = isUuid(idOrUsername) ? await request.lookup('consumers', idOrUsername.toLowerCase()) : null;
  if (byId !== null) return byId;
  const named = await request.lookup(indexTable('consumers', 'username'), idOrUsername);
  return named === null ? null : request.lookup('consumers', String(named.id));
}

/** The consumer a credential row belongs to; null when the row or the consumer is gone. */
export async function consumerOf(
  request: RequestContext,
  credential: Readonly<Record<string, unknown>>,
): Promise<AuthenticatedConsumer | null> {
  const { consumer } = credential;
  if (typeof consumer !== 'object' || consumer === null || !('id' in consumer) || typeof consumer.id !== 'string')
    return null;
  const row = await request.lookup('consumers', consumer.id);
  return row === null ? null : readConsumer(row);
}

/** Whether a credential's `ttl` (as it travels: the Unix second it ends at) has run out. */
export function expired(credential: Readonly<Record<string, unknown>>): boolean {
  return typeof credential.ttl === 'number' && credential.ttl * 1000 <= Date.now();
}

function readConsumer(row: Readonly<Record<string, unknown>>): AuthenticatedConsumer {
  return {
    id: String(row.id),
    username: typeof row.username === 'string' ? row.username : null,
    custom_id: typeof row.custom_id === 'string' ? row.custom_id : null,
  };
}

function setOrClear(headers: HeaderFields, name: string, value: string | null | undefined): void {
  if (value === null || value === undefined) headers.delete(name);
  else headers.set(name, value);
}
