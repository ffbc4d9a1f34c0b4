import { type LuaCall, LuaNative, type LuaResult, type LuaValue, results } from '../../shared/lua/value.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Content } from '../http/messages.ts';
import { readBody } from '../http/read-body.ts';
import type { RequestTimeout } from '../plugins/runtime/services.ts';
import { encodeArguments, isMap } from './arguments.ts';
import { contextOf } from './context.ts';
import { headersTable } from './kong/request.ts';

/** `request_uri` of lua-resty-http: one request and its whole answer. */
export const fetchNative = new LuaNative('fetch', (call) => request(call), true);

const LONGEST = 10 * 1024 * 1024;

async function request(call: LuaCall): Promise<LuaResult> {
  const { services } = contextOf(call).site;
  const options = call.value(2);
  const given = (name: string): LuaValue => (isMap(options) ? options.get(name) : undefined);
  const url = new URL(call.text(1));
  const query = given('query');
  if (typeof query === 'string') url.search = query;
  else if (query !== undefined) url.search = encodeArguments(query);
  const path = given('path');
  if (typeof path === 'string') url.pathname = path;
  const headers: Record<string, string> = {};
  const fields = given('headers');
  if (isMap(fields)) for (const [name, value] of fields) headers[String(name)] = String(value);
  const method = given('method');
  const body = given('body');
  try {
    const answer = await services.fetch({
      url: url.href,
      method: typeof method === 'string' ? method : 'GET',
      headers,
      body: typeof body === 'string' || body instanceof Uint8Array ? body : null,
      timeout: timeoutOf(call),
      verify: given('ssl_verify') !== false,
      proxy: proxyOf(given('proxy_opts'), url),
    });
    return {
      status: answer.status,
      reason: '',
      has_body: true,
      headers: headersTable(answer.headers, 1000),
      body: await whole(answer.content),
    };
  } catch (error) {
    return results(undefined, messageOf(error));
  }
}

/** The one of `set_timeout`, or those of `set_timeouts`, where what is nil is a minute. */
function timeoutOf(call: LuaCall): RequestTimeout {
  const given = call.value(3);
  if (!isMap(given)) return call.number(3);
  const of = (name: string): number => {
    const milliseconds = given.get(name);
    return typeof milliseconds === 'number' ? milliseconds : 60_000;
  };
  return { connect: of('connect'), write: of('write'), read: of('read') };
}

/** Of `proxy_opts`, as `set_proxy_options` has them: the one for the URL's scheme, unless it is for none of these hosts. */
function proxyOf(options: LuaValue, { protocol, hostname }: URL): string | null {
  if (!isMap(options)) return null;
  const scheme = protocol.slice(0, -1);
  const proxy = options.get(`${scheme}_proxy`);
  if (typeof proxy !== 'string' || without(options.get('no_proxy'), hostname)) return null;
  const authorization = options.get(`${scheme}_proxy_authorization`);
  const [, encoded = ''] = typeof authorization === 'string' ? (/^Basic +([\w+/=]+)$/i.exec(authorization) ?? []) : [];
  const url = new URL(proxy);
  if (encoded !== '') [url.username, url.password] = splitCredentials(atob(encoded));
  return url.href;
}

function splitCredentials(text: string): readonly [string, string] {
  const colon = text.indexOf(':');
  const [user, password] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  return [encodeURIComponent(user), encodeURIComponent(password)];
}

/** `no_proxy`: names, and what they are below, by comma; `*`: all. */
function without(list: LuaValue, host: string): boolean {
  const names = typeof list === 'string' ? list.split(',').map((name) => name.trim().replace(/^\./, '')) : [];
  return names.some((name) => name === '*' || (name !== '' && (host === name || host.endsWith(`.${name}`))));
}

async function whole(content: Content): Promise<LuaValue> {
  if (content === null) return '';
  if (typeof content === 'string' || content instanceof Uint8Array) return content;
  const { bytes, rest } = await readBody(content.stream(), LONGEST);
  if (rest !== null) {
    await rest.cancel();
    throw new Error(`the answer is longer than ${LONGEST} bytes`);
  }
  return bytes;
}
