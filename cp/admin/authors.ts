import { compileClientAddress } from '../../shared/client-address.ts';
import { withoutUnseen } from '../../shared/unseen.ts';
import type { Settings } from '../settings/properties.ts';
import type { Author } from '../store/author.ts';

/** How a request can be told from others: whom it came from by the socket, and its headers. */
interface Asked {
  readonly remoteAddress: string | undefined;
  readonly headers: Pick<Headers, 'get'>;
}

type AuthorSettings = Pick<Settings, 'trusted_ips' | 'real_ip_header' | 'real_ip_recursive' | 'admin_user_header'>;

/** Characters of each that are kept. */
const LONGEST = 100;

/**
 * Who asks the Admin API, as far as that can be told. It knows no users: the name is what a proxy of `trusted_ips` says in
 * `admin_user_header`, the address the socket's or what such a proxy says in `real_ip_header`, the program what it calls itself.
 */
export class Authors {
  #settings: AuthorSettings;
  #addressOf: ReturnType<typeof compileClientAddress>;

  constructor(settings: AuthorSettings) {
    this.#settings = settings;
    this.#addressOf = addressReader(settings);
  }

  /** Whom to trust has changed. */
  renew(settings: AuthorSettings): void {
    this.#settings = settings;
    this.#addressOf = addressReader(settings);
  }

  of({ remoteAddress, headers }: Asked): Author {
    const peer = remoteAddress?.replace(/^::ffff:/, '') ?? null;
    const { ip, trusted } = this.#addressOf(peer, null, headers);
    const header = this.#settings.admin_user_header;
    const user = header === null || !trusted ? null : headers.get(header);
    return {
      via: 'admin_api',
      user: user === null ? null : readable(fromBytes(user)),
      address: ip === '' ? null : ip,
      client: readable(programOf(headers.get('user-agent') ?? '')),
    };
  }
}

function addressReader({ trusted_ips, real_ip_header, real_ip_recursive }: AuthorSettings) {
  return compileClientAddress({
    trustedIps: trusted_ips,
    realIpHeader: real_ip_header,
    realIpRecursive: real_ip_recursive,
  });
}

/** Browsers call themselves by many names, the last of which here that fits is their own. */
const BROWSERS: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/ Edg[A-Za-z]*\/(\d+)/, 'Edge'],
  [/ OPR\/(\d+)/, 'Opera'],
  [/ Firefox\/(\d+)/, 'Firefox'],
  [/ (?:Headless)?Chrome\/(\d+)/, 'Chrome'],
  [/ Version\/(\d+)[^ ]* .*Safari\//, 'Safari'],
];

/** `Firefox 131`, `curl/8.5.0`, `holdfast config import`: products without what browsers put around them (RFC 9110, 10.1.5). */
function programOf(userAgent: string): string {
  if (userAgent.startsWith('Mozilla/')) {
    for (const [pattern, name] of BROWSERS) {
      const [, version] = pattern.exec(userAgent.slice(0, 1_000)) ?? [];
      if (version !== undefined) return `${name} ${version.slice(0, 6)}`;
    }
  }
  return userAgent;
}

/** One line of what can be seen; null: there is nothing. */
function readable(text: string): string | null {
  const line = withoutUnseen(text.slice(0, 1_000).toWellFormed()).replace(/\s+/g, ' ').trim();
  const characters = [...line];
  const short = characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join('')}…` : line;
  return short === '' ? null : short;
}

/** Header values come byte by byte; names of people are UTF-8 most of the time. */
function fromBytes(value: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value, 'latin1'));
  } catch {
    return value;
  }
}
