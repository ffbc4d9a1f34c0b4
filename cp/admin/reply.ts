import { isRecord } from '../../shared/record.ts';

/** What a handler answers; the app adds Kong's headers. No `body`: an empty one. */
export interface Reply {
  readonly status: number;
  /** Sent as compact JSON, or as it is when it is a string with a `content-type` of its own. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** In place of `body`: sent as it comes, until it ends. */
  readonly stream?: ReadableStream<Uint8Array>;
}

/** Ends a request early with an answer; for what is wrong with the request itself. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly reply: Reply;
  constructor(reply: Reply) {
    const { status, body } = reply;
    super(isRecord(body) && typeof body.message === 'string' ? body.message : `refused with ${status}`);
    this.reply = reply;
  }
}

export const ok = (body: unknown, headers?: Record<string, string>): Reply =>
  headers === undefined ? { status: 200, body } : { status: 200, body, headers };
export const created = (body: unknown): Reply => ({ status: 201, body });
export const noContent: Reply = { status: 204 };
export const message = (status: number, text: string): Reply => ({ status, body: { message: text } });
export const notFound = message(404, 'Not found');
export const methodNotAllowed = message(405, 'Method not allowed');
export const unexpected = message(500, 'An unexpected error occurred');
