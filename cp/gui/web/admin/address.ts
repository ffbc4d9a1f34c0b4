import { adminAddress } from '../../admin-address.ts';

declare global {
  interface Window {
    /** From `kconfig.js`. */
    readonly K_CONFIG?: Readonly<Record<string, string>>;
  }
}

const told = window.K_CONFIG ?? {};
const port = (text: string | undefined): number | null => (text ? Number(text) : null);

/** Path the Manager is served under, without a slash at its end; empty at the root. */
export const BASE = (told.ADMIN_GUI_PATH ?? '/').replace(/\/$/, '');

/** Where the Admin API is. */
export const ADMIN = adminAddress(window.location, {
  apiUrl: told.ADMIN_API_URL || null,
  apiPort: port(told.ADMIN_API_PORT),
  apiTlsPort: port(told.ADMIN_API_SSL_PORT),
});

const WORKSPACE = 'holdfast-workspace';

/** The workspace that is looked at; each tab has its own. */
export const workspace = sessionStorage.getItem(WORKSPACE) ?? 'default';

/** Looks at another workspace: begins anew, since nothing that is shown belongs to it. */
export function enterWorkspace(name: string): void {
  sessionStorage.setItem(WORKSPACE, name);
  window.location.assign(`${BASE}/`);
}

/** The address of a path of the Admin API in this workspace, which paths of the cluster are outside of. */
export function addressOf(path: string, scope: 'workspace' | 'cluster' = 'cluster'): string {
  const within = scope === 'workspace' && workspace !== 'default' ? `/${encodeURIComponent(workspace)}` : '';
  return `${ADMIN}${within}${path}`;
}
