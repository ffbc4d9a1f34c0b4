import { type LuaCall, LuaNative, type LuaResult, type LuaValue, NULL, results } from '../../shared/lua/value.ts';
import { messageOf } from '../../shared/thrown.ts';
import { slot } from '../plugins/runtime/slot.ts';
import { RedisConnection } from '../redis/connection.ts';
import { RedisError, type Reply } from '../redis/resp.ts';
import { isList } from './arguments.ts';
import { contextOf, type Library, type LuaContext, type LuaSite, type LuaSubject } from './context.ts';

/** What a request has opened, by numbers; and for whom it is over. */
interface Connections {
  readonly opened: { readonly connection: RedisConnection; readonly by: LuaContext }[];
  readonly over: Set<LuaSite>;
}

const connections = slot<Connections>();

function connectionsOf(subject: LuaSubject): Connections {
  const known = connections.get(subject) ?? { opened: [], over: new Set() };
  connections.set(subject, known);
  return known;
}

/** Whether phases of a plugin have left connections open. */
export function hasConnections(subject: LuaSubject, site: LuaSite): boolean {
  return connections.get(subject)?.opened.some(({ connection, by }) => connection.usable && isOf(by, site)) === true;
}

/** Ends what the phases of a plugin have left open, after the last of them; not every host lets go of connections with their request. */
export function endConnections(subject: LuaSubject, site: LuaSite): void {
  for (const { connection, by } of connections.get(subject)?.opened ?? []) if (isOf(by, site)) connection.close();
}

/** The last phase begins: none before it opens anything any more. */
export function endOpening(subject: LuaSubject, site: LuaSite): void {
  connectionsOf(subject).over.add(site);
}

/** Ends what a timer has left open. */
export function endConnectionsOf(timer: LuaContext): void {
  for (const { connection, by } of connections.get(timer.subject)?.opened ?? []) if (by === timer) connection.close();
}

function isOf(by: LuaContext, site: LuaSite): boolean {
  return by.site === site && !by.isTimer;
}

/** What the module `resty.redis` is made of. */
export const redisNatives: Library = {
  /** Host, port, milliseconds, whether TLS, whether its certificate is verified, its name: the number of a connection. */
  connect: new LuaNative('connect', connect, true),
  /** The number of a connection, a command as a list: its reply; nil or false and why there is none. */
  send: new LuaNative('send', async (call) => answerOf(await replyOf(call, call.value(2))), true),
  /** The same for a list of commands, sent at once: a list of replies. */
  send_all: new LuaNative('send_all', sendAll, true),
  close: new LuaNative('close', (call) => {
    connectionOf(call)?.close();
    return undefined;
  }),
};

async function connect(call: LuaCall): Promise<LuaResult> {
  const by = contextOf(call);
  const { subject, site } = by;
  const timeout = call.number(3);
  const tls = call.truth(4) ? { verify: call.truth(5), serverName: call.optionalText(6) ?? null } : null;
  try {
    const address = { host: call.text(1), port: call.number(2) };
    const { opened, over } = connectionsOf(subject);
    const connection = new RedisConnection(await site.services.connect(address, { tls, timeout }), timeout, true);
    // The client left meanwhile.
    if (over.has(site) && isOf(by, site) && by.phase !== 'log') connection.close();
    return opened.push({ connection, by }) - 1;
  } catch (error) {
    return results(undefined, messageOf(error));
  }
}

function connectionOf(call: LuaCall): RedisConnection | undefined {
  return connections.get(contextOf(call).subject)?.opened[call.number(1)]?.connection;
}

/** A failure of the connection as an error, a refusal of the server as a reply. */
async function replyOf(call: LuaCall, command: LuaValue): Promise<Reply | Error> {
  const connection = connectionOf(call);
  if (connection === undefined) return new Error('not initialized');
  try {
    return await connection.send(wordsOf(command));
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

async function sendAll(call: LuaCall): Promise<LuaResult> {
  const commands = call.value(2);
  const replies = await Promise.all((isList(commands) ? commands : []).map((command) => replyOf(call, command)));
  const broken = replies.find((reply) => reply instanceof Error && !(reply instanceof RedisError));
  return broken instanceof Error ? results(undefined, broken.message) : replies.map(luaValueOf);
}

function answerOf(reply: Reply | Error): LuaResult {
  if (reply instanceof RedisError) return results(false, reply.message);
  return reply instanceof Error ? results(undefined, reply.message) : luaValueOf(reply);
}

function luaValueOf(reply: Reply | Error): LuaValue {
  if (reply === null) return NULL;
  if (reply instanceof Error) return [false, reply.message];
  return isReplies(reply) ? reply.map(luaValueOf) : reply;
}

function isReplies(reply: Reply): reply is readonly Reply[] {
  return Array.isArray(reply);
}

/** Whole numbers without a fraction, as Lua prints them. */
function wordsOf(command: LuaValue): (string | Uint8Array)[] {
  if (!isList(command)) throw new Error('a command is a list');
  return command.map((word) => (word instanceof Uint8Array ? word : word === NULL ? 'null' : String(word)));
}
