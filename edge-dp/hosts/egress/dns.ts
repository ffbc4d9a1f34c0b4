import { lookup, Resolver } from 'node:dns/promises';
import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { messageOf } from '../../../shared/thrown.ts';
import type { DnsAnswer, DnsRecord } from '../../proxy/egress/protocol.ts';
import type { DnsOptions } from '../options.ts';

type RecordType = 'A' | 'AAAA' | 'SRV';

/** Seconds an answer without a TTL of its own (hosts file, SRV records in Node) is good for. */
const NO_TTL = 60;

/**
 * Looks names up for the Worker: the hosts file, then the DNS with its TTLs, then, where the system's resolver is used, what
 * else that knows (mDNS, NIS…). The same question is not asked twice at a time.
 */
export class NameService {
  readonly #options: DnsOptions;
  readonly #resolver = new Resolver({ timeout: 1_500, tries: 2 });
  readonly #asking = new Map<string, Promise<DnsAnswer>>();
  readonly #hosts: HostsFile;

  constructor(options: DnsOptions) {
    this.#options = options;
    this.#hosts = new HostsFile(options.hostsFile);
    if (options.servers.length > 0) this.#resolver.setServers([...options.servers]);
  }

  resolve(host: string, type: RecordType): Promise<DnsAnswer> {
    const question = `${type} ${host}`;
    const under = this.#asking.get(question);
    if (under !== undefined) return under;
    const asked = this.#resolve(host, type).finally(() => this.#asking.delete(question));
    this.#asking.set(question, asked);
    return asked;
  }

  async #resolve(host: string, type: RecordType): Promise<DnsAnswer> {
    const system = this.#options.servers.length === 0;
    const listed = await this.#hosts.addresses(host);
    // The hosts file is read by the runtime too, whatever servers are set.
    if (listed.length > 0) return { status: 'ok', records: recordsOf(listed, type), system: true };
    try {
      return { status: 'ok', records: await this.#ask(host, type), system };
    } catch (error) {
      const others = !system || type === 'SRV' ? [] : await askSystem(host, type === 'A' ? 4 : 6);
      if (others.length > 0) return { status: 'ok', records: others, system };
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ENODATA') return { status: 'ok', records: [], system };
      const message = messageOf(error);
      const { notFoundTtl, errorTtl } = this.#options;
      if (code === 'ENOTFOUND') return { status: 'not_found', message, retry: notFoundTtl };
      return { status: 'failed', message, retry: errorTtl };
    }
  }

  async #ask(host: string, type: RecordType): Promise<readonly DnsRecord[]> {
    const records = await this.#records(host, type);
    const { validTtl } = this.#options;
    return validTtl === null ? records : records.map((record) => ({ ...record, ttl: validTtl }));
  }

  async #records(host: string, type: RecordType): Promise<readonly DnsRecord[]> {
    if (type === 'A') return this.#resolver.resolve4(host, { ttl: true });
    if (type === 'AAAA') return this.#resolver.resolve6(host, { ttl: true });
    const records = await this.#resolver.resolveSrv(host);
    return records.map(({ name, ...record }) => ({ address: name, ttl: NO_TTL, ...record }));
  }
}

/** Names of the hosts file, read again when it changes. */
class HostsFile {
  readonly #path: string;
  #modified = -1;
  #names = new Map<string, string[]>();

  constructor(path: string) {
    this.#path = path;
  }

  async addresses(host: string): Promise<readonly string[]> {
    try {
      const { mtimeMs } = await stat(this.#path);
      if (mtimeMs !== this.#modified) {
        this.#names = parse(await readFile(this.#path, 'utf8'));
        this.#modified = mtimeMs;
      }
    } catch {
      return [];
    }
    return this.#names.get(host.toLowerCase()) ?? [];
  }
}

function parse(text: string): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const alias of aliases.map((name) => name.toLowerCase())) {
      names.set(alias, [...(names.get(alias) ?? []), address]);
    }
  }
  return names;
}

function recordsOf(addresses: readonly string[], type: RecordType): readonly DnsRecord[] {
  const family = type === 'A' ? 4 : type === 'AAAA' ? 6 : null;
  return addresses.filter((address) => isIP(address) === family).map((address) => ({ address, ttl: NO_TTL }));
}

async function askSystem(host: string, family: 4 | 6): Promise<readonly DnsRecord[]> {
  try {
    const found = await lookup(host, { family, all: true });
    return found.map(({ address }) => ({ address, ttl: NO_TTL }));
  } catch {
    return [];
  }
}
