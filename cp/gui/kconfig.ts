import type { AdminPorts } from './admin-address.ts';

/** What a web UI in a browser must know to find the Admin API. */
export interface UiConfiguration extends AdminPorts {
  /** Path the UI is served under, `/` or `/manager`. */
  readonly path: string;
}

/** The script `kconfig.js`, by which Kong's host 8002 tells Kong Manager where it is and where the Admin API is. */
export function kconfigScript({ path, apiUrl, apiPort, apiTlsPort }: UiConfiguration): string {
  const members = Object.entries({
    ADMIN_GUI_PATH: path,
    ADMIN_API_URL: apiUrl ?? '',
    ADMIN_API_PORT: String(apiPort ?? ''),
    ADMIN_API_SSL_PORT: String(apiTlsPort ?? ''),
    // Nothing here reports to anyone.
    ANONYMOUS_REPORTS: 'false',
  }).map(([name, value]) => `  '${name}': ${quoted(value)}`);
  return `window.K_CONFIG = {\n${members.join(',\n')}\n}\n`;
}

/** A JavaScript string in single quotes, as Kong writes them. */
function quoted(value: string): string {
  const escaped = JSON.stringify(value).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'");
  return `'${escaped}'`;
}
