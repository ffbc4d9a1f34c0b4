import type { IncomingMessage } from 'node:http';
import { type SyslogEntry, unpackPackets } from '../../proxy/egress/host-services.ts';
import type { DnsAnswer } from '../../proxy/egress/protocol.ts';
import type { Environment } from '../environment.ts';
import { AppendedFiles } from './appended-files.ts';
import { ClientConnections } from './client-connections.ts';
import { Datagrams } from './datagrams.ts';
import type { NameService } from './dns.ts';
import type { Exchange } from './exchange.ts';
import { EgressError } from './failure.ts';
import type { FollowedExchanges } from './followed-exchanges.ts';
import type { Identities } from './identities.ts';
import { SYSLOG_SOCKET, SystemLog } from './system-log.ts';
import { parseTunnelTarget, parseTunnelTls } from './target.ts';
import type { Tunnels } from './tunnels.ts';

/** Bytes of a request to this process: room for many CAs, or for many lines of a log. */
const MAX_BODY = 16 << 20;

export interface OperationParts {
  readonly identities: Identities;
  readonly followed: FollowedExchanges;
  readonly names: NameService;
  readonly environment: Environment;
  readonly tunnels: Tunnels;
  /** Where paths of files that do not begin with `/` begin. */
  readonly folder: string;
  /** Called with each TLS identity that is handed over; null: that is let go of. */
  readonly onIdentity: (name: string, text: string | null) => void;
}

/** What is asked of an operation: the parts of its path behind its name, decoded, its query and its body. */
interface Question {
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
  text(): Promise<string>;
  bytes(): Promise<Uint8Array>;
}

/** What the Worker asks of this process itself. A number is the status of an empty answer, anything else goes as JSON. */
export class Operations {
  readonly #clients = new ClientConnections();
  readonly #datagrams = new Datagrams();
  readonly #files: AppendedFiles;
  readonly #syslog = new SystemLog(SYSLOG_SOCKET, `kong[${process.pid}]`);
  readonly #known: Readonly<Record<string, (question: Question) => Promise<number | object>>>;

  constructor({ identities, followed, names, environment, tunnels, folder, onIdentity }: OperationParts) {
    this.#files = new AppendedFiles(folder);
    this.#known = {
      'PUT identities': async ({ parts: [name = ''], text }) => {
        const given = await text();
        const unused = identities.add(name, given);
        onIdentity(name, given);
        for (const each of unused) onIdentity(each, null);
        return 204;
      },
      'GET exchanges': async ({ parts: [name = ''] }) => {
        await followed.end(name);
        return 204;
      },
      'GET connections': async ({ parts: [ip = '', port], query }) =>
        (await this.#clients.isClosed(ip, Number(port), Number(query.get('to')))) ? 410 : 204,
      'GET dns': async ({ parts: [name = ''], query }): Promise<DnsAnswer> => {
        const type = query.get('type') ?? 'A';
        if (type === 'A' || type === 'AAAA' || type === 'SRV') return names.resolve(name, type);
        throw new EgressError('bad_request', false, `no DNS records of type ${type}`);
      },
      'POST secrets': async ({ text }) => {
        const wanted: unknown = JSON.parse(await text());
        return environment.read(Array.isArray(wanted) ? wanted.map(String) : []);
      },
      'POST tunnels': async ({ parts: [ticket, does], query, text }) => {
        if (ticket === undefined) return tunnels.open(parseTunnelTarget(await text()));
        if (does === 'tls') return tunnels.startTls(ticket, parseTunnelTls(await text()));
        if (does !== 'idle') throw new EgressError('bad_request', false, `tunnels: no operation '${does}'`);
        await tunnels.leave(ticket, Number(query.get('milliseconds')));
        return 204;
      },
      'POST datagrams': async ({ parts: [host = '', port], bytes }) => {
        await this.#datagrams.send(host, Number(port), unpackPackets(await bytes()));
        return 204;
      },
      'POST files': async ({ query, bytes }) => {
        await this.#files.append(query.get('path') ?? '', await bytes(), query.get('reopen') === 'true');
        return 204;
      },
      'POST syslog': async ({ text }) => {
        const entries: readonly SyslogEntry[] = JSON.parse(await text());
        await this.#syslog.write(entries);
        return 204;
      },
    };
  }

  async answer({ request, response }: Exchange): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://egress');
    const [operation = '', ...parts] = pathname.split('/').slice(1).map(decodeURIComponent);
    const name = `${request.method} ${operation}`;
    const work = Object.hasOwn(this.#known, name) ? this.#known[name] : undefined;
    if (work === undefined)
      throw new EgressError('bad_request', false, `no operation ${request.method} ${request.url}`);
    const answer = await work({
      parts,
      query: searchParams,
      text: async () => (await read(request)).toString('utf8'),
      bytes: () => read(request),
    });
    if (typeof answer === 'number') response.writeHead(answer).end();
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    length += bytes.byteLength;
    if (length > MAX_BODY) throw new EgressError('bad_request', false, `longer than ${MAX_BODY} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}
