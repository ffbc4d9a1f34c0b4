import { parseIp } from './atc/ip.ts';

/**
 * What a browser does on behalf of the pages it shows: a listener for people and their tools, which asks nobody for a
 * password, must not obey any page that is open beside them. Two things tell: `Host`, since a page can have a name of its own
 * point at this machine (DNS rebinding), and where the page came from (`Origin`, `Sec-Fetch-Site`).
 */
export interface BrowserRequest {
  readonly method: string;
  /** The headers `Host`, `Origin` and `Sec-Fetch-Site`; null when absent, as with most clients that are no browsers. */
  readonly host: string | null;
  readonly origin: string | null;
  readonly fetchSite: string | null;
  /** It came in at a loopback address, which others reach by way of a browser here, and only so. */
  readonly loopback: boolean;
}

/** What a listener lets browsers do. */
export interface BrowserRules {
  /** Names it goes by besides `localhost`, in lower case. */
  readonly names: ReadonlySet<string>;
  /** The setting that adds to them. */
  readonly namesSetting: string;
  /** Whether pages of an origin (RFC 6454) may call it; `host` is the request's `Host`. */
  allows(origin: string, host: string | null): boolean;
  /** Completes the refusal of a page: what to do so that it may call, or that none may. */
  readonly remedy: string;
}

export type BrowserVerdict =
  /** No page stands behind it, or one that may call: `origin` is that of the page, for CORS. */
  | { readonly kind: 'welcome'; readonly origin: string | null }
  /** A page that may not call asks to read: it gets an answer its browser keeps from it, so no CORS headers. */
  | { readonly kind: 'foreign' }
  /** To be answered 403 with `reason`. */
  | { readonly kind: 'refused'; readonly reason: string };

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

const NO_PAGE: BrowserVerdict = { kind: 'welcome', origin: null };
const FOREIGN: BrowserVerdict = { kind: 'foreign' };

export function judgeBrowser(request: BrowserRequest, rules: BrowserRules): BrowserVerdict {
  const { method, host, origin, fetchSite, loopback } = request;
  if (loopback && host !== null && !isOwnHost(host, rules.names)) {
    const shown = shorten(host);
    return {
      kind: 'refused',
      reason: `Host '${shown}' is not a name of this server: use its address or localhost, or list the name in ${rules.namesSetting}`,
    };
  }
  if (origin !== null) {
    if (rules.allows(origin, host)) return { kind: 'welcome', origin };
    return READS.has(method) ? FOREIGN : refusedPage(`pages of '${shorten(origin)}'`, rules);
  }
  // Browsers name no origin where they were told not to, and old ones on forms.
  if (fetchSite !== 'cross-site' && fetchSite !== 'same-site') return NO_PAGE;
  return READS.has(method) ? FOREIGN : refusedPage('pages of other sites', rules);
}

/** The host of a `Host` header without its port, in lower case, an IPv6 address without brackets; null: ill-formed. */
export function hostnameOf(host: string): string | null {
  const [, address, name] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/?#@[\]\\]+))(?::\d{1,5})?$/.exec(host) ?? [];
  const hostname = address ?? name?.replace(/\.$/, '');
  return hostname === undefined || hostname === '' ? null : hostname.toLowerCase();
}

/** Whether a text is an address of the machine it is used on: 127.0.0.0/8 (also mapped to IPv6) or ::1. */
export function isLoopback(text: string): boolean {
  const address = parseIp(text);
  if (address === null) return false;
  const [first = 0, second = 0, third = 0, last = 0] = address.words;
  if (address.family === 4) return first >>> 24 === 127;
  if (first !== 0 || second !== 0) return false;
  return (third === 0 && last === 1) || (third === 0xffff && last >>> 24 === 127);
}

/** No other site can have a page of its own at an address: names alone are rebound. */
function isOwnHost(host: string, names: BrowserRules['names']): boolean {
  const hostname = hostnameOf(host);
  if (hostname === null) return false;
  return hostname === 'localhost' || parseIp(hostname) !== null || names.has(hostname);
}

function refusedPage(subject: string, { remedy }: BrowserRules): BrowserVerdict {
  return { kind: 'refused', reason: `${subject} may not change anything here: ${remedy}` };
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
