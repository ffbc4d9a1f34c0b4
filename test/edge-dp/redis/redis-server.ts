import { createHash } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { luaModules } from '../../../cp/lua/modules.ts';
import { LuaMachine } from '../../../shared/lua/machine.ts';
import { LuaNative, type LuaReference, type LuaValue } from '../../../shared/lua/value.ts';
import { freePorts } from '../../free-port.ts';

/** What a test wants of the server besides its answering. */
interface RedisBehaviour {
  /** `AUTH` is demanded: of this user, `default` where only a password is given. */
  user?: string;
  password?: string;
  /** Out of memory: commands that write are refused. */
  full?: boolean;
  /** Nothing is answered any more. */
  mute?: boolean;
  /** Another has taken its place: what it counts is no use, and it refuses to. */
  replica?: boolean;
  /** It is one node of a cluster that holds none of the keys. */
  cluster?: boolean;
  /** It has no scripts, as a Sentinel has none. */
  sentinel?: boolean;
}

/** A small Redis: the commands the gateway uses, scripts in a Lua of their own, databases, expiry, `requirepass` and users. */
export interface RedisTestServer {
  readonly port: number;
  readonly behaviour: RedisBehaviour;
  /** Names of the commands that came, the latest last. */
  readonly commands: string[];
  /** Connections that are open. */
  readonly connections: number;
  /** What is kept in a database, with the seconds each has left; null: for good. */
  kept(database?: number): Readonly<Record<string, readonly [value: string, seconds: number | null]>>;
  /** Breaks all connections and listens no more; `start` goes on with what was kept, on the same port. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

interface Entry {
  readonly value: string;
  readonly until: number | null;
}

interface Client {
  authenticated: boolean;
  database: number;
}

class Refused extends Error {}

/** `pair`: what it shows to clients that speak TLS with it; null: it speaks none. */
export async function startRedisServer(
  behaviour: RedisBehaviour = {},
  pair: { readonly cert: string; readonly key: string } | null = null,
): Promise<RedisTestServer> {
  const databases = new Map<number, Map<string, Entry>>();
  const scripts = new Map<string, LuaReference>();
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  const lua = new LuaMachine(luaModules());
  lua.define('redis', {
    call: new LuaNative('call', (call) => {
      const words = Array.from({ length: call.count }, (_, i) => call.text(i + 1));
      const reply = run(words, call.host as Client);
      // As Redis gives a nil to scripts.
      return reply === null ? false : (reply as LuaValue);
    }),
  });
  const keep = lua.load('KEYS, ARGV = ...');

  function data(database: number): Map<string, Entry> {
    const entries = databases.get(database) ?? new Map<string, Entry>();
    databases.set(database, entries);
    for (const [key, { until }] of entries) if (until !== null && until <= Date.now()) entries.delete(key);
    return entries;
  }

  function run([name = '', ...words]: readonly string[], client: Client): unknown {
    const entries = data(client.database);
    const [key = '', value = ''] = words;
    switch (name.toUpperCase()) {
      case 'PING':
        return 'PONG';
      case 'GET':
        return entries.get(key)?.value ?? null;
      case 'MGET':
        return words.map((each) => entries.get(each)?.value ?? null);
      case 'SET':
        entries.set(key, { value, until: null });
        return 'OK';
      case 'INCRBY': {
        if (behaviour.replica === true) throw new Refused("READONLY You can't write against a read only replica.");
        if (behaviour.full === true) throw new Refused("OOM command not allowed when used memory > 'maxmemory'.");
        const before = entries.get(key) ?? { value: '0', until: null };
        if (!/^-?\d+$/.test(before.value)) throw new Refused('ERR value is not an integer or out of range');
        const sum = Number(before.value) + Number(value);
        entries.set(key, { ...before, value: String(sum) });
        return sum;
      }
      case 'EXPIRE': {
        const known = entries.get(key);
        if (known === undefined) return 0;
        entries.set(key, { ...known, until: Date.now() + Number(value) * 1000 });
        return 1;
      }
      case 'TTL': {
        const known = entries.get(key);
        if (known === undefined) return -2;
        return known.until === null ? -1 : Math.ceil((known.until - Date.now()) / 1000);
      }
      default:
        throw new Refused(`ERR unknown command '${name}', with args beginning with: `);
    }
  }

  function answer([name = '', ...words]: readonly string[], client: Client): unknown {
    const { user = 'default', password, cluster, sentinel } = behaviour;
    const command = name.toUpperCase();
    commands.push(command);
    if (command === 'AUTH') {
      const [asUser, secret] = words.length === 1 ? ['default', words[0]] : words;
      if (password === undefined) throw new Refused('ERR AUTH <password> called without any password configured');
      if (asUser !== user || secret !== password)
        throw new Refused('WRONGPASS invalid username-password pair or user is disabled.');
      client.authenticated = true;
      return 'OK';
    }
    if (password !== undefined && !client.authenticated) throw new Refused('NOAUTH Authentication required.');
    if (command === 'SELECT') {
      if (Number(words[0]) >= 16) throw new Refused('ERR DB index is out of range');
      client.database = Number(words[0]);
      return 'OK';
    }
    if (cluster === true) throw new Refused('MOVED 3999 127.0.0.1:6381');
    if (command !== 'EVAL' && command !== 'EVALSHA') return run([name, ...words], client);
    if (sentinel === true) throw new Refused(`ERR unknown command '${name}', with args beginning with: `);
    const [source = '', count = '', ...rest] = words;
    const sha = command === 'EVAL' ? createHash('sha1').update(source).digest('hex') : source;
    if (command === 'EVAL' && !scripts.has(sha)) scripts.set(sha, lua.load(source));
    const script = scripts.get(sha);
    if (script === undefined) throw new Refused('NOSCRIPT No matching script. Please use EVAL.');
    lua.run(keep, [rest.slice(0, Number(count)), rest.slice(Number(count))], client);
    const results = lua.run(script, [], client);
    if (results instanceof Promise) throw new Error('a script of Redis cannot wait');
    return results[0];
  }

  const serve = (socket: Socket): void => {
    sockets.add(socket);
    const client: Client = { authenticated: false, database: 0 };
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (part: string) => {
      text += part;
      for (let parsed = parseCommand(text); parsed !== null; parsed = parseCommand(text)) {
        text = text.slice(parsed.end);
        const reply = replyTo(() => answer(parsed.words, client));
        if (behaviour.mute !== true) socket.write(reply, 'latin1');
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => void sockets.delete(socket));
  };
  const server: Server = pair === null ? createServer(serve) : createTlsServer({ ...pair }, serve);
  server.on('tlsClientError', () => undefined);
  // It comes back to the same one.
  const [port = 0] = await freePorts(1);
  const start = () =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });
  await start();
  return {
    port,
    behaviour,
    commands,
    get connections() {
      return sockets.size;
    },
    kept: (database = 0) =>
      Object.fromEntries(
        [...data(database)].map(([key, { value, until }]) => [
          key,
          [value, until === null ? null : Math.ceil((until - Date.now()) / 1000)],
        ]),
      ),
    async kill() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
    start,
  };
}

/** latin1, so that lengths are bytes. */
function parseCommand(text: string): { readonly words: readonly string[]; readonly end: number } | null {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (head === null) return null;
  let at = head[0].length;
  const words: string[] = [];
  for (let i = 0; i < Number(head[1]); i++) {
    const length = /^\$(\d+)\r\n/.exec(text.slice(at, at + 20));
    if (length === null) return null;
    const begin = at + length[0].length;
    const end = begin + Number(length[1]);
    if (text.length < end + 2) return null;
    words.push(Buffer.from(text.slice(begin, end), 'latin1').toString());
    at = end + 2;
  }
  return { words, end: at };
}

function replyTo(answer: () => unknown): string {
  try {
    return encoded(answer());
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // What a script's call is refused, the script is.
    const refused = /(?:OOM|ERR|MOVED|READONLY|WRONGPASS|NOAUTH|NOSCRIPT) .*/.exec(message)?.[0];
    return `-${refused ?? `ERR ${message}`}\r\n`;
  }
}

function encoded(value: unknown): string {
  if (value === null || value === undefined || value === false) return '$-1\r\n';
  if (typeof value === 'number') return `:${Math.trunc(value)}\r\n`;
  if (value === 'OK' || value === 'PONG') return `+${value}\r\n`;
  if (Array.isArray(value)) return `*${value.length}\r\n${value.map(encoded).join('')}`;
  const bytes = Buffer.from(String(value));
  return `$${bytes.length}\r\n${bytes.toString('latin1')}\r\n`;
}
