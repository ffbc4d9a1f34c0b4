import {
  type LuaCall,
  LuaNative,
  LuaReference,
  type LuaResult,
  type LuaValue,
  NULL,
  results,
} from '../../../shared/lua/value.ts';
import type { Row } from '../../../shared/record.ts';
import { isUuid } from '../../../shared/uuid.ts';
import { findConsumer } from '../../plugins/authentication.ts';
import type { TlsTerms } from '../../plugins/runtime/handshake.ts';
import type { AuthenticatedConsumer, AuthenticatedCredential } from '../../plugins/runtime/identity.ts';
import { isList, isMap } from '../arguments.ts';
import {
  AFTER_HEAD,
  BEFORE_UPSTREAM,
  contextIn,
  contextOf,
  type Library,
  type LuaContext,
  WITH_HEAD,
} from '../context.ts';
import { fromJson } from '../json.ts';
import { stringOf } from './checks.ts';

/** `kong.client`: who sent the request. */
export const client: Library = {
  get_ip: get('get_ip', ({ subject }) => subject.client.peerIp),
  get_forwarded_ip: get('get_forwarded_ip', ({ subject }) => subject.client.ip),
  get_port: get('get_port', ({ subject }) => subject.client.peerPort),
  get_forwarded_port: get('get_forwarded_port', ({ subject }) => subject.client.port),
  get_protocol: new LuaNative('get_protocol', protocol),
  get_consumer: get('get_consumer', ({ subject }) => {
    const { consumer } = subject.identity;
    return consumer === null ? undefined : entity(consumer.row);
  }),
  get_credential: get('get_credential', ({ request }) => {
    const { credential } = request.identity;
    return credential === null ? undefined : credentialOf(credential);
  }),
  get_consumer_group: new LuaNative('get_consumer_group', async (call) => (await groups(call))[0], true),
  get_consumer_groups: new LuaNative('get_consumer_groups', async (call) => [...(await groups(call))], true),
  load_consumer: new LuaNative('load_consumer', (call) => loadConsumer(call), true),
  authenticate: new LuaNative('authenticate', authenticate),
  tls: {
    get_full_client_certificate_chain: get('get_full_client_certificate_chain', (context) => {
      const { tls } = context.session ?? context.request;
      return tls?.clientCertificate?.pem ?? undefined;
    }),
    set_client_verify: new LuaNative('set_client_verify', setClientVerify),
    request_client_certificate: new LuaNative('request_client_certificate', (call) => {
      inCertificate(call, 'request_client_certificate').asked = { ca: authoritiesOf(call.value(1)) };
      return true;
    }),
    disable_session_reuse: new LuaNative('disable_session_reuse', (call) => {
      inCertificate(call, 'disable_session_reuse').resumable = false;
      return true;
    }),
  },
};

/** `kong.client.get_protocol(allow_terminated)`: the route's only protocol, or the one the client speaks. */
function protocol(call: LuaCall): LuaResult {
  const context = contextOf(call);
  if (context.handshake !== null) return context.handshake.protocol;
  const { route } = context.subject;
  if (route === null) return results(undefined, 'No active route found');
  const { protocols } = route.row;
  if (Array.isArray(protocols) && protocols.length === 1) return String(protocols[0]);
  if (context.session !== null) return context.session.protocol;
  const { client, headers, scheme } = context.request;
  if (scheme === 'https' || !client.trusted || !call.truth(1)) return scheme;
  const told = headers.get('x-forwarded-proto') ?? '';
  if (told.includes(',')) return results(undefined, 'Only one X-Forwarded-Proto header allowed');
  return told.toLowerCase() === 'https' ? 'https' : 'http';
}

function setClientVerify(call: LuaCall): LuaResult {
  const { request } = contextIn(call, 'kong.client.tls.set_client_verify', WITH_HEAD);
  const verify = call.text(1);
  if (verify !== 'SUCCESS' && verify !== 'NONE' && !verify.startsWith('FAILED:')) {
    const accepted = '"SUCCESS", "NONE" or "FAILED:<reason>"';
    throw new Error(`unknown client verify value: ${verify} accepted values are: ${accepted}`);
  }
  request.clientVerify = verify;
  return undefined;
}

function inCertificate(call: LuaCall, name: string): TlsTerms {
  const { handshake } = contextIn(call, `kong.client.tls.${name}`, ['certificate']);
  if (handshake === null) throw new Error('there is no handshake');
  return handshake.terms;
}

/** What `ngx.ssl.parse_pem_cert` gave, or nothing. */
function authoritiesOf(chain: LuaValue): string {
  if (chain === undefined || chain === null) return '';
  const pem = isMap(chain) ? chain.get('pem') : undefined;
  if (typeof pem !== 'string') throw new Error('ca_certs must be a parsed certificate chain (ngx.ssl.parse_pem_cert)');
  return pem;
}

/** `kong.ctx.shared.authenticated_groups`: the groups that the authentication itself named, which the acl plugin goes by. */
export const authenticatedGroups = get('authenticated_groups', ({ request }) => {
  const groups = request.identity.authenticatedGroups;
  return groups === null ? undefined : [...groups];
});

export const setAuthenticatedGroups = new LuaNative('authenticated_groups', (call) => {
  const { identity } = contextOf(call).request;
  const groups = call.value(1);
  const list = isMap(groups) && groups.size === 0 ? [] : groups;
  identity.authenticatedGroups = Array.isArray(list) ? list.filter((group) => typeof group === 'string') : null;
  return undefined;
});

/** A credential as its plugin found it. */
export function credentialOf({ id, row, key }: AuthenticatedCredential): LuaValue {
  const { ttl, ...fields } = row ?? {};
  return entity({
    ...(id !== null && { id }),
    ...fields,
    ...(key !== undefined && { key }),
    // Rows have the second it ends at, plugins see those that are left.
    ...(typeof ttl === 'number' && { ttl: Math.max(0, ttl - Math.floor(Date.now() / 1000)) }),
  });
}

/** An entity as Lua sees it: what is not set is not there. */
export function entity(row: Row): LuaValue {
  return fromJson(row, 0, null);
}

function get(name: string, read: (context: LuaContext) => LuaValue): LuaNative {
  return new LuaNative(name, (call) => read(contextOf(call)));
}

async function groups(call: LuaCall): Promise<LuaValue[]> {
  const found = await contextOf(call).request.identity.consumerGroups();
  return found.map(({ id, name }) => ({ id, name }));
}

async function loadConsumer(call: LuaCall): Promise<LuaResult> {
  const { request } = contextIn(call, 'kong.client.load_consumer', [...BEFORE_UPSTREAM, ...AFTER_HEAD]);
  const id = stringOf(call, 1, 'consumer_id');
  const byUsername = call.truth(2);
  if (!isUuid(id) && !byUsername) throw new Error('cannot load a consumer with an id that is not a uuid');
  const row = byUsername ? await findConsumer(request, id) : await request.lookup('consumers', id);
  return row === null ? undefined : entity(row);
}

/** `kong.client.authenticate(consumer, credential)`: entities as `load_consumer` and the database have them. */
function authenticate(call: LuaCall): LuaResult {
  const { request } = contextIn(call, 'kong.client.authenticate', BEFORE_UPSTREAM);
  const consumer = call.value(1);
  const credential = call.value(2);
  if (consumer === undefined && credential === undefined) {
    throw new Error('either credential or consumer must be provided');
  }
  if (consumer !== undefined && !isMap(consumer)) throw new Error('consumer must be a table or nil');
  if (credential !== undefined && !isMap(credential)) throw new Error('credential must be a table or nil');
  request.identity.authenticate(
    consumer === undefined ? null : consumerOf(consumer),
    credential === undefined ? null : credentialIn(credential),
  );
  return undefined;
}

/** A credential as Lua has it. */
export function credentialIn(table: ReadonlyMap<LuaValue, LuaValue>): AuthenticatedCredential {
  return {
    id: text(table.get('id')) ?? '',
    identifier: text(table.get('username')) ?? text(table.get('id')),
    row: rowOf(table),
  };
}

/** A consumer as Lua has it. */
export function consumerOf(table: ReadonlyMap<LuaValue, LuaValue>): AuthenticatedConsumer {
  return {
    id: text(table.get('id')) ?? '',
    username: text(table.get('username')),
    custom_id: text(table.get('custom_id')),
    row: rowOf(table),
  };
}

/** A table as plain data: what is none is left out. */
function rowOf(table: ReadonlyMap<LuaValue, LuaValue>): Row {
  const row: Row = {};
  for (const [name, value] of table) if (typeof name === 'string') row[name] = plain(value);
  return row;
}

function plain(value: LuaValue): unknown {
  if (isMap(value)) return rowOf(value);
  if (isList(value)) return value.map(plain);
  return value instanceof LuaReference || value === NULL ? undefined : value;
}

function text(value: LuaValue): string | null {
  return typeof value === 'string' ? value : null;
}
