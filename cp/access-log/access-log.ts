import { constants, mkdirSync } from 'node:fs';
import { appendFile, rename, stat } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { dirname, resolve } from 'node:path';
import { type AccessLogFile, compileFormat } from '../../shared/access-log/format.ts';
import type { LogFacts } from '../../shared/access-log/variables.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Log } from '../instance/log.ts';
import { type AccessLogTarget, formatNamed } from '../settings/access-log.ts';
import type { Settings } from '../settings/properties.ts';

/** Milliseconds lines wait for company. */
const PAUSE = 100;
/** Lines that wait while the file cannot be written; the oldest go. */
const MOST_WAITING = 10_000;
/** Bytes of a file: it is written by default, and must not fill the disk of who never looks at it. */
const LONGEST = 64 << 20;
/** A pipe that nobody reads is an error: a wait for it would hold a thread that all of the process needs. */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

/** The last write to each file, by its path: two listeners may have one log, which is moved away once. */
const turns = new Map<string, Promise<void>>();

/** A log file of a plane: its absolute path, in a folder that is there, and the format. */
export function accessLogFile(
  { path, format }: AccessLogTarget,
  settings: Pick<Settings, 'prefix' | 'nginx_http_log_format'>,
): AccessLogFile {
  const known = formatNamed(format, settings.nginx_http_log_format);
  if (known === null) throw new Error(`there is no log format '${format}'`);
  const file = resolve(settings.prefix, path);
  if (!file.startsWith('/dev/')) mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  return { path: file, format: known };
}

/** `admin_access_log` or `status_access_log`: a line for each request of a listener of this process. */
export class AccessLog {
  readonly #path: string;
  readonly #format: (facts: LogFacts) => string;
  readonly #log: Log;
  readonly #longest: number;
  readonly #answers = new WeakMap<IncomingMessage, Headers>();
  #waiting: string[] = [];
  /** Until no line waits: a file is written by one at a time, however slow it is. */
  #writing: Promise<void> | null = null;
  /** Why the last attempt failed: said once. */
  #failure: string | null = null;
  /** The file is too long, and stays: said once. */
  #stays = false;

  /** `longest`: bytes after which a file becomes `<name>.1`, in place of the one before. */
  constructor({ path, format }: AccessLogFile, log: Log, longest = LONGEST) {
    this.#longest = longest;
    this.#path = path;
    this.#format = compileFormat(format);
    this.#log = log;
  }

  /** The head of the answer to a request, which is written past what the server would tell. */
  answered(request: IncomingMessage, headers: Headers): void {
    this.#answers.set(request, headers);
  }

  watch(server: Server, scheme: 'http' | 'https'): void {
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
      const startedAt = Date.now();
      const { remoteAddress = '', remotePort = null, localPort = null } = request.socket;
      const client = { ip: remoteAddress.replace(/^::ffff:/, ''), port: remotePort };
      response.once('close', () => {
        const headers = this.#answers.get(request) ?? new Headers();
        this.#add(this.#format(factsOf(request, response, { headers, client, port: localPort, scheme, startedAt })));
      });
    });
  }

  /** Resolves when what there is has been written. */
  async close(): Promise<void> {
    await this.#writing;
  }

  #add(line: string): void {
    this.#waiting.push(line);
    if (this.#waiting.length > MOST_WAITING) this.#waiting.shift();
    this.#writing ??= this.#writeWaiting();
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      await new Promise<void>((over) => setTimeout(over, PAUSE));
      await this.#write();
    }
    this.#writing = null;
  }

  /** By the name it has now: a file that was moved away by log rotation is let go of. */
  async #write(): Promise<void> {
    const lines = this.#waiting;
    this.#waiting = [];
    const text = `${lines.join('\n')}\n`;
    try {
      if (this.#path === '/dev/stdout') process.stdout.write(text);
      else if (this.#path === '/dev/stderr') process.stderr.write(text);
      else {
        await inTurn(this.#path, async () => {
          await this.#makeRoom(Buffer.byteLength(text));
          await appendFile(this.#path, text, { flag: FLAGS });
        });
      }
      this.#failure = null;
    } catch (error) {
      const failure = messageOf(error);
      if (failure !== this.#failure) this.#log('error', `access log ${this.#path}: lines are lost: ${failure}`);
      this.#failure = failure;
    }
  }

  async #makeRoom(bytes: number): Promise<void> {
    const file = await stat(this.#path).catch(() => null);
    // What is no file (a pipe) has no end, and a lone line longer than that goes into a file of its own.
    if (file?.isFile() !== true || file.size === 0 || file.size + bytes <= this.#longest) return;
    try {
      await rename(this.#path, `${this.#path}.1`);
      this.#stays = false;
    } catch (error) {
      // Lines are worth more than the bound, which somebody else may keep who set up the folder.
      if (!this.#stays)
        this.#log('error', `access log ${this.#path}: it is too long, and cannot be moved away: ${messageOf(error)}`);
      this.#stays = true;
    }
  }
}

async function inTurn(path: string, write: () => Promise<void>): Promise<void> {
  const own = (turns.get(path) ?? Promise.resolve()).then(write);
  const over = own.catch(() => undefined);
  turns.set(path, over);
  try {
    await own;
  } finally {
    if (turns.get(path) === over) turns.delete(path);
  }
}

function factsOf(
  request: IncomingMessage,
  response: ServerResponse,
  arrival: Pick<LogFacts, 'client' | 'port' | 'scheme'> & { readonly headers: Headers; readonly startedAt: number },
): LogFacts {
  const { headers, startedAt, client, port, scheme } = arrival;
  const endedAt = Date.now();
  const left = !response.writableFinished;
  const header = (name: string): string | null => text(request.headers[name]);
  const answerHeader = (name: string): string | null => headers.get(name);
  const declared = answerHeader('content-length');
  const { method = '', url = '', httpVersion } = request;
  return {
    client,
    port,
    scheme,
    method,
    target: url,
    protocol: `HTTP/${httpVersion}`,
    status: left && !response.headersSent ? 499 : response.statusCode,
    bodyBytes: left || method === 'HEAD' ? 0 : declared === null ? null : Number(declared),
    requestBytes: null,
    answerBytes: null,
    took: endedAt - startedAt,
    endedAt,
    requestId: answerHeader('x-kong-admin-request-id') ?? answerHeader('x-kong-request-id'),
    header,
    answerHeader,
    tries: [],
    upstreamTook: null,
    route: null,
    service: null,
    consumer: null,
  };
}

function text(value: string | readonly string[] | undefined): string | null {
  if (value === undefined) return null;
  return typeof value === 'object' ? value.join(', ') : value;
}
