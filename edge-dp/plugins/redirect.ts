import { normalizePath } from '../../shared/normalize-path.ts';
import type { RedirectConfig } from '../../shared/plugins/redirect.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import type { Plugin } from './runtime/plugin.ts';

/** Sends clients to another place, with the path and query they asked for if that is wanted. */
const redirect: Plugin<RedirectConfig> = {
  name: 'redirect',
  version: KONG_VERSION,
  priority: 779,
  compile({ status_code, location, keep_incoming_path }) {
    return {
      access(request) {
        const place = keep_incoming_path ? withPath(location, normalizePath(request.rawPath), request.query) : location;
        return request.exit(status_code, 'redirecting', { Location: place });
      },
    };
  },
};

export default redirect;

/** By the rules of the URL standard: no path can lead to another host, nor, as it is normalized, read as one (`//host`). */
function withPath(location: string, path: string, query: string): string {
  const url = new URL(location);
  url.pathname = path;
  url.search = query;
  return url.href;
}
