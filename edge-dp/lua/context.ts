import type { LuaMachine } from '../../shared/lua/machine.ts';
import { type LuaCall, LuaEnd, type LuaNative, type LuaReference } from '../../shared/lua/value.ts';
import type { HeaderFields } from '../http/fields.ts';
import type { Logged } from '../plugins/log-entry.ts';
import type { Exchange } from '../plugins/runtime/exchange.ts';
import type { TlsHandshake } from '../plugins/runtime/handshake.ts';
import type { Answer, Place } from '../plugins/runtime/plugin.ts';
import type { Reply } from '../plugins/runtime/reply.ts';
import type { GatewayRequest } from '../plugins/runtime/request.ts';
import type { Services } from '../plugins/runtime/services.ts';
import type { StreamSession } from '../plugins/runtime/stream.ts';

export type LuaPhase =
  | 'certificate'
  | 'preread'
  | 'rewrite'
  | 'access'
  | 'response'
  | 'header_filter'
  | 'body_filter'
  | 'log';

/** What a phase is of. */
export type LuaSubject = GatewayRequest | StreamSession | TlsHandshake;

/** What a plugin with Lua in its config runs it in, the same for all its requests. */
export interface LuaSite {
  readonly plugin: string;
  readonly place: Place;
  readonly services: Services;
}

/**
 * One phase of one request, of a session that is no HTTP, or of a TLS handshake, as the functions that Lua calls see it: what a run of the machine is
 * started with. What the phases of a request have in common (`kong.ctx`, `ngx.ctx`) is in `tables`.
 */
export class LuaContext {
  readonly phase: LuaPhase;
  readonly site: LuaSite;
  /** What all kinds have in common is asked of this. */
  readonly subject: LuaSubject;
  /** From the response phase on. */
  readonly reply: Reply | null;
  /** In the log phase. */
  readonly logged: Logged | null;
  readonly tables: RequestTables;
  /** What `kong.response.exit` ends the request with. */
  answer: Answer | null = null;
  /** The status that a session was refused with, and in the same way a handshake. */
  refusal: number | null = null;
  /** The headers that templates see: as they were when one first looked. */
  templateHeaders: HeaderFields | null = null;
  /** The chunk that body_filter is run for. */
  chunk: BodyChunk | null = null;
  /** A timer runs in it, which may outlive the request. */
  readonly isTimer: boolean;

  constructor(
    phase: LuaPhase,
    site: LuaSite,
    subject: LuaSubject,
    tables: RequestTables,
    {
      reply = null,
      exchange = null,
      isTimer = false,
    }: { readonly reply?: Reply | null; readonly exchange?: Logged | null; readonly isTimer?: boolean } = {},
  ) {
    this.phase = phase;
    this.site = site;
    this.subject = subject;
    this.tables = tables;
    this.reply = reply;
    this.logged = exchange;
    this.isTimer = isTimer;
  }

  /** What a timer is run in that is set here. */
  forTimer(): LuaContext {
    const { phase, site, subject, tables, reply, logged: exchange } = this;
    return new LuaContext(phase, site, subject, tables, { reply, exchange, isTimer: true });
  }

  /** The request. Throws for what has nothing of what is asked for then. */
  get request(): GatewayRequest {
    const { subject } = this;
    if ('serverPort' in subject) throw new Error('not available for streams: there is no request');
    if ('terms' in subject) throw new Error('not available in the certificate phase: there is no request yet');
    return subject;
  }

  /** Null: TLS, where it is spoken, is through. */
  get handshake(): TlsHandshake | null {
    return 'terms' in this.subject ? this.subject : null;
  }

  /** Null: it is a request. */
  get session(): StreamSession | null {
    return 'serverPort' in this.subject ? this.subject : null;
  }

  /** What came of the request. Null: it is not over, or no request. */
  get exchange(): Exchange | null {
    return this.logged !== null && 'reply' in this.logged ? this.logged : null;
  }

  /** Ends the phase by refusing the session, or the handshake, past every `pcall`. */
  refuse(status: number): never {
    this.refusal = status;
    throw new LuaEnd('the connection is refused');
  }

  /** Ends the phase with an answer, past every `pcall`. */
  exit(answer: Answer): never {
    this.answer = answer;
    throw new LuaEnd('the request is answered');
  }
}

/** `ngx.arg` of body_filter. */
export interface BodyChunk {
  bytes: Uint8Array | null;
  readonly last: boolean;
  /** `ngx.arg[2] = true`: nothing comes after it. */
  ended: boolean;
  /** All chunks so far, once somebody has asked for the whole body. */
  whole: Uint8Array[] | null;
}

/** Lua tables of one request by name (`kong.ctx.shared` and the like), as the machine that asks sees them. */
export interface RequestTables {
  get(name: string, lua: LuaMachine): LuaReference;
  /** What `ngx.req.read_body` read; null: it was not read, or too long. */
  body: Uint8Array | null;
  /** The answer is to be waited for (`kong.service.request.enable_buffering`). */
  buffered: boolean;
  /** What the service answered, where somebody waited for it; null: nobody did, or it was too long. */
  answer: Uint8Array | null;
  /** What `ngx.say` and `ngx.print` said so far. */
  said: string;
  /** What `ngx.req.set_uri` made of `ngx.var.uri`; null: nothing. */
  uri: string | null;
  /** What `ngx.status` was set to before there is a reply. */
  status: number | null;
}

/** The context a native function is called in. Throws where Lua runs outside of a request. */
export function contextOf(call: LuaCall): LuaContext {
  if (!(call.host instanceof LuaContext)) throw new Error('no request found');
  return call.host;
}

/** As `contextOf`, in these phases only; `name` as scripts write it. */
export function contextIn(call: LuaCall, name: string, phases: readonly LuaPhase[]): LuaContext {
  const context = contextOf(call);
  if (!phases.includes(context.phase)) {
    throw new Error(`function '${name}' cannot be called in ${context.phase} phase (only in: ${phases.join(', ')})`);
  }
  return context;
}

export const BEFORE_UPSTREAM: readonly LuaPhase[] = ['rewrite', 'access'];
export const WITH_HEAD: readonly LuaPhase[] = ['rewrite', 'access', 'response', 'header_filter'];
export const AFTER_HEAD: readonly LuaPhase[] = ['response', 'header_filter', 'body_filter', 'log'];

/** A library: names to native functions, or to libraries within. */
export type Library = { readonly [name: string]: LuaNative | Library | string | number | boolean };
