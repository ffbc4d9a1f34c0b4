import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from '../../once.ts';

type Record =
  | { readonly type: 'A'; readonly address: string; readonly ttl: number }
  | {
      readonly type: 'SRV';
      readonly name: string;
      readonly port: number;
      readonly weight: number;
      readonly priority?: number;
      readonly ttl: number;
    };

/** A name server whose zone a test changes as it goes: `records` by name; names it does not hold do not exist. */
export interface DnsServer {
  readonly address: string;
  readonly records: Map<string, readonly Record[]>;
  /** Questions so far, as `type name`. */
  readonly asked: string[];
  /** While true every question is answered with SERVFAIL. */
  failing: boolean;
  stop(): void;
}

const TYPES = { A: 1, SRV: 33 } as const;
const NXDOMAIN = 3;
const SERVFAIL = 2;

export async function startDnsServer(): Promise<DnsServer> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const server: DnsServer = {
    address: `127.0.0.1:${socket.address().port}`,
    records: new Map(),
    asked: [],
    failing: false,
    stop: () => socket.close(),
  };
  socket.on('message', (query, from: RemoteInfo) => socket.send(answer(server, query), from.port, from.address));
  return server;
}

/** RFC 1035 section 4: header, the question as it came, answers that point back to its name. */
function answer(server: DnsServer, query: Buffer): Buffer {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = query.readUInt16BE(at + 1);
  const name = labels.join('.').toLowerCase();
  const kind = type === TYPES.A ? 'A' : type === TYPES.SRV ? 'SRV' : String(type);
  server.asked.push(`${kind} ${name}`);
  const held = server.records.get(name);
  const code = server.failing ? SERVFAIL : held === undefined ? NXDOMAIN : 0;
  const records = code === 0 ? (held ?? []).filter((record) => record.type === kind) : [];
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8580 | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, query.subarray(12, at + 5), ...records.map(encode)]);
}

function encode(record: Record): Buffer {
  const data =
    record.type === 'A'
      ? Buffer.from(record.address.split('.').map(Number))
      : Buffer.concat([numbers(record.priority ?? 1, record.weight, record.port), nameBytes(record.name)]);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(TYPES[record.type], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(record.ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [place, value] of values.entries()) bytes.writeUInt16BE(value, place * 2);
  return bytes;
}

function nameBytes(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}
