import { LuaNative } from '../../shared/lua/value.ts';
import { contextOf } from './context.ts';
import { capturesTable, headersTable } from './kong/request.ts';

/** `headers` of templates. */
export const templateHeaders = new LuaNative('headers', (call) => {
  const { request, templateHeaders: kept } = contextOf(call);
  return headersTable(kept ?? request.headers, MOST);
});

/** `uri_captures` of templates: groups by number and by name. */
export const templateCaptures = new LuaNative('uri_captures', (call) => {
  const { unnamed, named } = capturesTable(contextOf(call).request.captures);
  return new Map([...unnamed, ...named]);
});

const MOST = 1000;
