import { existsSync, readFileSync } from 'node:fs';
import { readDocument } from '../shared/declarative/document.ts';
import { isRecord, type Row } from '../shared/record.ts';

/** A declarative document: the path of a file, its text, or what it says. */
export type ConfigSource = string | Readonly<Row>;

/**
 * The document as a gateway under test serves it: each name of `ports` leads to that port of this machine instead, and every
 * request gets a log entry. Throws where the document is none, or has no service for one of the names.
 */
export function documentUnderTest(source: ConfigSource, ports: ReadonlyMap<string, number>): Row {
  const document = read(source);
  const found = new Set<string>();
  const services = rowsOf(document.services).map((service) => {
    const { host, protocol } = addressOf(service);
    if (host === null || !ports.has(host)) return service;
    found.add(host);
    if (protocol !== 'https') return service;
    // What stands in for it speaks no TLS.
    if (typeof service.url === 'string') return { ...service, url: service.url.replace(/^https:/, 'http:') };
    return { ...service, protocol: 'http' };
  });
  for (const name of ports.keys()) {
    if (found.has(name)) continue;
    throw new Error(
      `upstreams: no service of the config has the host '${name}'; they have ${services.map((service) => addressOf(service).host ?? '?').join(', ') || 'none'}`,
    );
  }
  const plugins = rowsOf(document.plugins);
  return {
    ...document,
    services,
    // An upstream of that name goes before DNS, and requests keep the name as their Host.
    upstreams: [
      ...rowsOf(document.upstreams).filter(({ name }) => typeof name !== 'string' || !ports.has(name)),
      ...[...ports].map(([name, port]) => ({ name, host_header: name, targets: [{ target: `127.0.0.1:${port}` }] })),
    ],
    plugins: plugins.some(isGlobalLog) ? plugins : [...plugins, { name: 'file-log', config: { path: '/dev/stdout' } }],
  };
}

function read(source: ConfigSource): Row {
  if (typeof source !== 'string') return { ...source };
  if (existsSync(source)) return readDocument(readFileSync(source, 'utf8'));
  // A text has several lines, or is JSON; what is neither was meant as a path.
  if (source.includes('\n') || source.startsWith('{')) return readDocument(source);
  throw new Error(`config: there is no file '${source}'`);
}

function addressOf(service: Readonly<Row>): { host: string | null; protocol: unknown } {
  if (typeof service.url === 'string') {
    const url = URL.parse(service.url);
    return { host: url?.hostname ?? null, protocol: url?.protocol.slice(0, -1) };
  }
  return { host: typeof service.host === 'string' ? service.host : null, protocol: service.protocol };
}

function isGlobalLog({ name, service, route, consumer }: Readonly<Row>): boolean {
  return name === 'file-log' && [service, route, consumer].every((scope) => scope === undefined || scope === null);
}

function rowsOf(value: unknown): readonly Row[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
