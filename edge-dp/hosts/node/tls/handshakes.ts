import { constants, createHash, X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TlsOptions as ServerOptions, type TLSSocket } from 'node:tls';
import { messageOf } from '../../../../shared/thrown.ts';
import type { TlsTerms } from '../../../plugins/runtime/handshake.ts';
import type { ServerCertificate, TlsArrival } from '../../../proxy/request-path.ts';
import type { TlsLimits } from '../../options.ts';
import { hasPeer } from '../known-peer.ts';
import { type FirstBytes, preread } from '../stream/preread.ts';
import { type ClientHello, MOST_HELLO, readClientHello } from './client-hello.ts';
import type { AskedOfClient } from './client-tls.ts';
import { limitOptions } from './limits.ts';
import { choose, chooseByTls12, ecdsaSuitesOf, type Pair, schemeOf } from './pairs.ts';
import { Staple } from './staple.ts';
import { TicketKeys } from './ticket-keys.ts';

/** How a listener does TLS, whatever is spoken within. */
export type ListenerTlsOptions = Omit<TlsOptions, 'patience' | 'protocols'>;

/** How a listener does TLS. */
export interface TlsOptions {
  /** What clients are shown that ask for no name, or for one that nobody has: one for each type of key. */
  readonly pairs: readonly Pair[];
  readonly limits: TlsLimits;
  /** Of the live config; null: the pairs above. The same object as long as it is the same. */
  readonly certificateOf: (serverName: string) => ServerCertificate | null;
  /** How a client's handshake is to go on; null: as the rest of this says. Never rejects. */
  readonly beginTls: (arrival: TlsArrival) => Promise<TlsTerms | 'refused'> | null;
  /** Base64; the same in all processes of the node. */
  readonly ticketSecret: string;
  /** Protocols within (ALPN), the preferred one first; empty: nobody is told. */
  readonly protocols: readonly string[];
  /** Milliseconds a client has for its handshake. */
  readonly patience: number;
}

/** What becomes of connections. */
export interface Handshaken {
  /** TLS began: its `alpnProtocol` is one of the options', or false. */
  secured(socket: TLSSocket): void;
  /** It began with something else than TLS. */
  plain(socket: Socket): void;
}

/** Pairs ready to be shown, by a server that listens nowhere: connections are handed to it. */
interface Shown {
  readonly pairs: readonly Pair[];
  readonly terms: TlsTerms;
  /** The same on other terms, by these. */
  readonly others: Map<string, Shown>;
  server: Server | null;
  ticketAge: number;
}

/** All pairs of a certificate, and each by itself. */
interface ShownCertificate {
  readonly all: Shown;
  readonly each: readonly (Shown & { readonly scheme: number | null })[];
}

const TLS_1_3 = 0x0304;
const TLS_1_2 = 0x0303;
const USUAL: TlsTerms = { asked: null, resumable: true };
/** Terms of plugins that are kept ready for one certificate. */
const MOST_TERMS = 50;

/** Who a connection is of. */
export type TlsPeer = Omit<TlsArrival, 'serverName'>;

/**
 * Does the handshakes of a listener. Each client's first words are read before TLS begins: by them, and the config of their
 * moment, is chosen what it is shown. Node's own way, a callback for the server name, knows one pair for each name, and leaves the
 * listener's other pair to clients that prefer its type.
 */
export class Handshakes {
  readonly #options: TlsOptions;
  readonly #then: Handshaken;
  readonly #limits: ServerOptions;
  readonly #tickets: TicketKeys;
  /** Of the listener's ciphers; null: nobody but OpenSSL knows. */
  readonly #ecdsaSuites: ReadonlySet<number> | null;
  readonly #own: ShownCertificate;
  readonly #certificates = new WeakMap<ServerCertificate, ShownCertificate | null>();
  /** What plugins have asked of whom. */
  readonly #asked = new WeakMap<TLSSocket, AskedOfClient>();

  /** Throws when a pair of the listener's own cannot be used. */
  constructor(options: TlsOptions, then: Handshaken) {
    this.#options = options;
    this.#then = then;
    this.#limits = limitOptions(options.limits);
    this.#tickets = new TicketKeys(options.ticketSecret, options.limits.sessionTimeout * 1000);
    this.#ecdsaSuites = ecdsaSuitesOf(options.limits.ciphers);
    this.#own = this.#ready(options.pairs);
  }

  /** Takes a connection that nothing was read from. */
  async take(socket: Socket, peer: TlsPeer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const first = await preread(socket, firstHello, { most: MOST_HELLO, patience: this.#options.patience });
    if (first === null) return;
    if (first.hello === null) this.#then.plain(socket);
    else this.begin(socket, first.hello, peer);
  }

  /** Takes a connection whose hello was read, and put back. */
  begin(socket: Socket, hello: ClientHello, peer: TlsPeer): void {
    const deciding = this.#options.beginTls({ ...peer, serverName: hello.serverName });
    if (deciding === null) {
      this.#start(socket, hello, USUAL);
      return;
    }
    const late = setTimeout(() => socket.destroy(), this.#options.patience);
    void deciding.then((terms) => {
      clearTimeout(late);
      if (terms === 'refused') socket.destroy();
      else if (!socket.destroyed) this.#start(socket, hello, terms);
    });
  }

  /** What a client that has shaken hands was asked for; null: nothing. */
  askedOf(socket: TLSSocket): AskedOfClient | null {
    return this.#asked.get(socket) ?? this.#options.limits.clients ?? null;
  }

  #start(socket: Socket, hello: ClientHello, terms: TlsTerms): void {
    const server = this.#choose(hello, terms);
    if (server === null) socket.destroy();
    else server.emit('connection', socket);
  }

  /** Null: what it asks for cannot be shown, and nothing is shown in its place. */
  #choose(hello: ClientHello, terms: TlsTerms): Server | null {
    const { serverName } = hello;
    const certificate = serverName === null ? null : this.#options.certificateOf(serverName);
    const shown = certificate === null ? this.#own : this.#shownOf(certificate, serverName ?? '');
    if (shown === null) return null;
    return this.#serverOf(onTerms(this.#pairOf(hello, shown) ?? shown.all, terms));
  }

  /** Undefined: of several OpenSSL chooses, and shows none with what its responder says. */
  #pairOf(hello: ClientHello, { each }: ShownCertificate): Shown | undefined {
    if (each.length < 2) return undefined;
    const { versions, stapling } = this.#options.limits;
    if (versions.includes('TLSv1.3') && hello.versions.includes(TLS_1_3)) return choose(hello, each);
    const suites = stapling && hello.versions.includes(TLS_1_2) ? this.#ecdsaSuites : null;
    return suites === null ? undefined : chooseByTls12(hello, each, suites);
  }

  #shownOf(certificate: ServerCertificate, serverName: string): ShownCertificate | null {
    const known = this.#certificates.get(certificate);
    if (known !== undefined) return known;
    const { cert, key, alternative, missing } = certificate;
    let made: ShownCertificate | null = null;
    try {
      if (missing !== null) throw new Error(missing);
      made = this.#ready([{ cert, key: key ?? '' }, ...(alternative === null ? [] : [alternative])]);
    } catch (error) {
      console.error(`the certificate for server name ${serverName} cannot be used: ${messageOf(error)}`);
    }
    this.#certificates.set(certificate, made);
    return made;
  }

  #ready(pairs: readonly Pair[]): ShownCertificate {
    const all = newShown(pairs, USUAL);
    this.#serverOf(all);
    const each = pairs.map((pair) => ({ ...newShown([pair], USUAL), scheme: schemeOf(pair) }));
    return { all, each };
  }

  #serverOf(shown: Shown): Server {
    const { age } = this.#tickets;
    if (shown.server === null) shown.server = this.#newServer(shown, age);
    else if (shown.ticketAge !== age) shown.server.setTicketKeys(this.#tickets.keysOf(age));
    shown.ticketAge = age;
    return shown.server;
  }

  #newServer({ pairs, terms }: Shown, age: number): Server {
    const { protocols, patience, limits } = this.#options;
    // What the settings ask of every client a plugin cannot make less of.
    const byPlugin = terms.asked !== null && limits.clients === undefined;
    const clients = byPlugin ? { mode: 'plugin' as const, ca: terms.asked?.ca ?? '' } : (limits.clients ?? null);
    const server = createServer({
      ...this.#limits,
      ...(!terms.resumable && { secureOptions: (this.#limits.secureOptions ?? 0) | constants.SSL_OP_NO_TICKET }),
      cert: pairs.map(({ cert }) => cert),
      key: pairs.map(({ key }) => key),
      ticketKeys: this.#tickets.keysOf(age),
      ...asked(clients),
      ...(protocols.length > 0 && { ALPNProtocols: [...protocols] }),
      handshakeTimeout: patience,
    });
    const [pair, another] = pairs;
    // Nobody says which of two is shown.
    if (limits.stapling && pair !== undefined && another === undefined) showStaple(server, pair);
    server.on('secureConnection', (socket) => {
      // Its own record of that; the connection below may be reset meanwhile.
      if (!hasPeer(socket)) {
        socket.destroy();
        return;
      }
      if (byPlugin && clients !== null) this.#asked.set(socket, clients);
      this.#then.secured(socket);
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  }
}

function newShown(pairs: readonly Pair[], terms: TlsTerms): Shown {
  return { pairs, terms, others: new Map(), server: null, ticketAge: 0 };
}

/** The same certificate for clients on other terms; those used last are kept. */
function onTerms(shown: Shown, terms: TlsTerms): Shown {
  if (terms.asked === null && terms.resumable) return shown;
  const key = `${terms.resumable} ${terms.asked === null ? '' : `asked ${terms.asked.ca}`}`;
  const { others, pairs } = shown;
  const own = others.get(key) ?? newShown(pairs, terms);
  others.delete(key);
  others.set(key, own);
  const [oldest] = others.keys();
  if (others.size > MOST_TERMS && oldest !== undefined) others.delete(oldest);
  return own;
}

/** A session that was begun where nothing was asked of a client does not go on where something is. */
function asked(clients: AskedOfClient | null): ServerOptions {
  if (clients === null) return { sessionIdContext: 'holdfast' };
  const { mode, ca } = clients;
  return {
    requestCert: true,
    // Who is refused is told so over HTTP.
    rejectUnauthorized: false,
    // Without any Node would take the public ones.
    ca: ca === null || ca === '' ? [] : ca,
    sessionIdContext: createHash('sha256').update(`${mode} ${ca}`).digest('hex').slice(0, 32),
  };
}

/** Shows clients that ask for it what is known of the pair's certificate. */
function showStaple(server: Server, { cert }: Pair): void {
  // Node's types do not know that an empty one is undefined.
  const { subject }: { readonly subject?: string } = new X509Certificate(cert);
  const staple = new Staple(cert, (subject ?? '').replaceAll('\n', ', '));
  server.on('OCSPRequest', (_certificate, _issuer, answer) => answer(null, staple.current));
}

/** What of a connection's first bytes decides; all of it is left for who answers. Without a hello it is no TLS. */
export function firstHello(bytes: Buffer): FirstBytes<{ readonly hello: ClientHello | null }> {
  const reading = readClientHello(bytes);
  if (reading.kind === 'incomplete') return 'more';
  return { value: { hello: reading.kind === 'hello' ? reading.hello : null }, taken: 0 };
}
