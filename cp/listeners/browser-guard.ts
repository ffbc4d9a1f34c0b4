import { isIP } from 'node:net';
import {
  type BrowserRules,
  type BrowserVerdict,
  hostnameOf,
  isLoopback,
  judgeBrowser,
} from '../../shared/browser-guard.ts';
import type { BoundAddress } from '../settings/addresses.ts';
import type { Settings } from '../settings/properties.ts';

/** How a request came in, besides what it says. */
export interface Arrival {
  /** The address of this machine its connection was made to; absent: not known. */
  readonly localAddress?: string | undefined;
  /** The address it came from; absent: not known. */
  readonly remoteAddress?: string | undefined;
  /** The request target as it was sent: a URL has its dot segments removed. Absent: not known. */
  readonly target?: string | undefined;
}

/** The settings that say which pages and names are the operator's own. */
type GuardSettings = Pick<
  Settings,
  'admin_listen' | 'admin_gui_listen' | 'admin_gui_url' | 'admin_gui_api_url' | 'admin_allowed_hosts'
>;

type Level = 'info' | 'warn' | 'error';

/** Different refusals told to the log; pages could make up any number. */
const MOST_TOLD = 100;

/**
 * Which requests of browsers the listeners of Admin API and web UI take: those of the web UI's pages, under an address or a
 * name of this server. See `judgeBrowser`.
 */
export class BrowserGuard {
  readonly #rules: BrowserRules;
  readonly #log: (level: Level, message: string) => void;
  readonly #told = new Set<string>();
  #ui: readonly BoundAddress[] = [];

  constructor(settings: GuardSettings, log: (level: Level, message: string) => void) {
    this.#log = log;
    const { admin_listen, admin_gui_listen, admin_gui_url, admin_gui_api_url, admin_allowed_hosts } = settings;
    const urls = [...admin_gui_url, ...(admin_gui_api_url === null ? [] : [admin_gui_api_url])];
    const names = new Set([
      ...admin_allowed_hosts.map((name) => name.toLowerCase()),
      ...urls.map(nameIn),
      ...[...admin_listen, ...admin_gui_listen]
        .map(({ host }) => host.toLowerCase())
        .filter((host) => isIP(host) === 0),
    ]);
    const origins = new Set(admin_gui_url.map((url) => new URL(url).origin));
    this.#rules = {
      names,
      namesSetting: 'admin_allowed_hosts',
      allows: (origin, host) =>
        origins.has(origin) || this.#ui.some((listener) => isPageOf(listener, origin, host, names)),
      remedy: 'if they are those of your web UI, add its address to admin_gui_url',
    };
  }

  /** The web UI listens here: its pages are welcome without being named in the settings. */
  uiListensAt(addresses: readonly BoundAddress[]): void {
    this.#ui = addresses;
  }

  judge({ method, headers }: Request, { localAddress }: Arrival): BrowserVerdict {
    const verdict = judgeBrowser(
      {
        method,
        host: headers.get('host'),
        origin: headers.get('origin'),
        fetchSite: headers.get('sec-fetch-site'),
        loopback: localAddress !== undefined && isLoopback(localAddress),
      },
      this.#rules,
    );
    if (verdict.kind === 'refused') this.#tell(verdict.reason);
    return verdict;
  }

  #tell(reason: string): void {
    if (this.#told.has(reason) || this.#told.size === MOST_TOLD) return;
    this.#told.add(reason);
    this.#log('warn', `refused a browser's request: ${reason}`);
  }
}

/** The host of a URL which, as `admin_gui_api_url`, may lack its scheme; empty when it has none. */
function nameIn(url: string): string {
  const whole = url.replace(/^(?:https?:)?(?:\/\/)?/i, 'http://');
  return URL.canParse(whole) ? new URL(whole).hostname : '';
}

/**
 * Whether an origin is that of a UI listener's pages: its scheme and port, at a host that leads here and nowhere else, which
 * is this machine's own name for itself, a name of the server, or the address the request itself was sent to.
 */
function isPageOf(
  { host: bound, port, tls }: BoundAddress,
  origin: string,
  requestHost: string | null,
  names: ReadonlySet<string>,
): boolean {
  const url = URL.canParse(origin) ? new URL(origin) : null;
  if (url?.origin !== origin || url.protocol !== (tls ? 'https:' : 'http:')) return false;
  if (Number(url.port || (tls ? 443 : 80)) !== port) return false;
  const hostname = hostnameOf(url.host) ?? '';
  if (names.has(hostname)) return true;
  const anyAddress = bound === '0.0.0.0' || bound === '::';
  if (hostname === 'localhost' || isLoopback(hostname)) return anyAddress || bound === 'localhost' || isLoopback(bound);
  return isIP(hostname) !== 0 && requestHost !== null && hostnameOf(requestHost) === hostname;
}
