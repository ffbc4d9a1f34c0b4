import { lookup } from 'node:dns/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { isIP } from 'node:net';
import { type PeerCertificate, TLSSocket } from 'node:tls';
import { recordOrEmpty } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { isCloudflare, isPrivate } from './cloudflare-addresses.ts';

/** Milliseconds for what one control plane says, to the last byte. */
const PATIENCE = 15_000;
/** Characters that are read of it. */
const LONGEST = 4096;

/** What the check works with; all but the pair differs only in tests. */
interface Looking {
  /** The client certificate that is uploaded, in PEM; null: the control plane is not asked what it thinks of it. */
  readonly pair: { readonly cert: string; readonly key: string } | null;
  readonly addresses?: (host: string) => Promise<readonly string[]>;
  /** PEM of CAs in the place of the public ones. */
  readonly ca?: string;
  /** Where to connect in place of the origin's name. */
  readonly connectTo?: string;
}

/**
 * What keeps Cloudflare's network from a control plane at `origin`: its name, its addresses, the certificate it shows, and whether it admits
 * the data plane's. A sentence each; empty: nothing that can be seen from here.
 */
export async function controlPlaneProblems(origin: string, looking: Looking): Promise<string[]> {
  const url = URL.parse(origin);
  if (url === null || url.protocol !== 'https:' || url.pathname !== '/') {
    return [`${origin}: expected 'https://host:port', cluster_listen of the control plane`];
  }
  const host = url.hostname;
  if (isIP(host.replace(/^\[|\]$/g, '')) !== 0) {
    return [`${origin}: Workers cannot connect to addresses by TLS; give the control plane a name`];
  }
  let addresses: readonly string[];
  try {
    addresses = await (looking.addresses ?? addressesOf)(host);
  } catch (error) {
    return [`${origin}: the name does not resolve (${messageOf(error)})`];
  }
  const problems = addresses.flatMap((address) => {
    if (isPrivate(address))
      return [`${origin}: ${address} is an address of a private network, which Cloudflare does not reach`];
    if (!isCloudflare(address)) return [];
    return [
      `${origin}: ${address} is Cloudflare's proxy, which ends TLS itself and lets port ${url.port || 443} and the client certificate not through; set the name to 'DNS only'`,
    ];
  });
  return [...problems, ...(await tlsProblems(url, looking))];
}

async function addressesOf(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

async function tlsProblems(url: URL, looking: Looking): Promise<string[]> {
  let answer: Answer;
  try {
    answer = await ask(url, looking);
  } catch (error) {
    return [`${url.origin}: there is no TLS to be had (${messageOf(error)}); is cluster_listen open to everybody?`];
  }
  const problems: string[] = [];
  const { fault, certificate, status, message } = answer;
  if (fault !== null) {
    const names = certificate.subjectaltname ?? certificate.subject?.CN ?? 'no name';
    problems.push(
      `${url.origin}: Cloudflare takes no other certificate than one of a public CA for '${url.hostname}' (${fault}; it is for ${names}); ` +
        'set cluster_server_cert and cluster_server_cert_key on the control plane, of a name that cluster_cert is not for',
    );
  }
  if (looking.pair !== null && status === 403) {
    problems.push(`${url.origin}: the control plane refuses the client certificate: ${message}`);
  }
  return problems;
}

interface Answer {
  /** Why the certificate is not believed; null: it is. */
  readonly fault: string | null;
  readonly certificate: PeerCertificate;
  readonly status: number;
  readonly message: string;
}

function ask(url: URL, { pair, ca, connectTo }: Looking): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(
      new URL(`/v1/objects/${'0'.repeat(64)}`, url),
      {
        ...pair,
        ...(ca !== undefined && { ca }),
        ...(connectTo !== undefined && { hostname: connectTo, headers: { host: url.host } }),
        servername: url.hostname,
        // What is wrong with it is told rather than thrown.
        rejectUnauthorized: false,
        agent: false,
        signal: AbortSignal.timeout(PATIENCE),
      },
      (response) => void read(response, url.hostname).then(resolve, reject),
    );
    asked.once('error', (error) => reject(error.name === 'AbortError' ? new Error('nothing answers') : error)).end();
  });
}

async function read(response: IncomingMessage, host: string): Promise<Answer> {
  const { socket, statusCode: status = 0 } = response;
  if (!(socket instanceof TLSSocket)) throw new Error('it speaks no TLS');
  const certificate = socket.getPeerCertificate();
  const fault = socket.authorized ? null : String(socket.authorizationError ?? `not for ${host}`);
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk;
    if (text.length > LONGEST) break;
  }
  let message: unknown;
  try {
    message = recordOrEmpty(JSON.parse(text)).message;
  } catch {
    message = text;
  }
  return { fault, certificate, status, message: String(message) };
}
