import { LuaNative } from '../../shared/lua/value.ts';
import { contextOf } from './context.ts';
import { headersTable, uriCaptures } from './kong/request.ts';

/** `headers` of templates. */
export const templateHeaders = new LuaNative('headers', (call) => {
  const { request, templateHeaders: kept } = contextOf(call);
  return headersTable(kept ?? request.headers, MOST);
});

/** `uri_captures` of templates. */
export const templateCaptures = new LuaNative('uri_captures', (call) => uriCaptures(contextOf(call).request));

const MOST = 1000;
