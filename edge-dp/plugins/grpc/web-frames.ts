import { encodeBase64 } from '../../http/base64.ts';
import type { Reply } from '../runtime/reply.ts';
import { FrameReader, frame, TRAILERS, TrailerSplitter } from './frames.ts';

type Frames = TransformStream<Uint8Array, Uint8Array>;

/** What the head of an answer says of the outcome of a call. */
export interface Head {
  readonly status: number;
  readonly contentType: string | null;
  readonly grpcStatus: string | null;
  readonly grpcMessage: string | null;
}

/** As it came, before anything is changed. */
export function headOf({ status, headers }: Reply): Head {
  return {
    status,
    contentType: headers.get('content-type'),
    grpcStatus: headers.get('grpc-status'),
    grpcMessage: headers.get('grpc-message'),
  };
}

/** Answers as frames: messages stream through as they come, the trailers are the last frame. */
export function plainFrames(head: Head): Frames {
  const splitter = new TrailerSplitter();
  return new TransformStream({
    transform(bytes, controller) {
      for (const part of splitter.pass(bytes)) controller.enqueue(part);
    },
    flush(controller) {
      controller.enqueue(trailerFrame(splitter.trailers, head));
    },
  });
}

/** The same in base64, frame by frame. */
export function base64Frames(head: Head): Frames {
  const reader = new FrameReader();
  let trailers: Uint8Array | null = null;
  return new TransformStream({
    transform(bytes, controller) {
      for (const { flags, content } of reader.read(bytes)) {
        if (flags >= TRAILERS) trailers = content;
        else controller.enqueue(encoded(frame(flags, content)));
      }
    },
    flush(controller) {
      if (reader.rest.length > 0) controller.enqueue(encoded(reader.rest));
      controller.enqueue(encoded(trailerFrame(trailers, head)));
    },
  });
}

/**
 * The outcome of a call, as Kong words it: of the trailers, of the head where an answer has nothing else, or of the HTTP status
 * where the upstream speaks no gRPC.
 */
export function outcomeOf(trailers: Uint8Array | null, head: Head) {
  const fields = new Map<string, string>();
  for (const line of trailers === null ? [] : TEXT.decode(trailers).split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return {
    status: fields.get('grpc-status') ?? head.grpcStatus ?? withoutStatus(head),
    message: fields.get('grpc-message') ?? head.grpcMessage ?? '',
    fields,
  };
}

/** The outcome as the last frame. */
export function trailerFrame(trailers: Uint8Array | null, head: Head): Uint8Array {
  const { status, message, fields } = outcomeOf(trailers, head);
  const others = [...fields].filter(([name]) => name !== 'grpc-status' && name !== 'grpc-message');
  const lines = [['grpc-status', status], ['grpc-message', message], ...others];
  return frame(TRAILERS, UTF8.encode(lines.map(([name, value]) => `${name}:${value}\r\n`).join('')));
}

/** gRPC's http-grpc-status-mapping. An answer in gRPC that says nothing of its outcome is not complete. */
function withoutStatus({ status, contentType }: Head): string {
  if (status === 200 && contentType?.startsWith('application/grpc') !== true) return '0';
  return HTTP_STATUSES[status] ?? '2';
}

const HTTP_STATUSES: Readonly<Record<number, string>> = {
  400: '13',
  401: '16',
  403: '7',
  404: '12',
  429: '14',
  502: '14',
  503: '14',
  504: '14',
};

/** Each chunk in base64 by itself. */
export function base64Chunks(): Frames {
  return new TransformStream({
    transform: (bytes, controller) => controller.enqueue(encoded(bytes)),
  });
}

/**
 * A body of base64, each part of it padded or not; null for what is none. Byte by byte into one list: a client may send millions of
 * parts.
 */
export function decodeBase64Text(body: Uint8Array): Uint8Array | null {
  const bytes = new Uint8Array(Math.floor((body.length * 3) / 4));
  let length = 0;
  /** Of the part that is read. */
  let digits = 0;
  let pads = 0;
  let bits = 0;
  for (const char of body) {
    if (char === PAD) {
      pads++;
      if (digits === 0 || pads > 2) return null;
      continue;
    }
    const digit = DIGITS[char] ?? NO_DIGIT;
    if (digit === NO_DIGIT) return null;
    if (pads > 0) {
      if (digits % 4 === 1) return null;
      digits = 0;
      pads = 0;
    }
    bits = ((bits << 6) | digit) & 0xffff;
    digits++;
    // The second, third and fourth digit of each four complete a byte.
    if (digits % 4 !== 1) bytes[length++] = bits >> (2 * ((4 - (digits % 4)) % 4));
  }
  return digits % 4 === 1 ? null : bytes.subarray(0, length);
}

const PAD = 0x3d;
const NO_DIGIT = 255;
const DIGITS = new Uint8Array(256).fill(NO_DIGIT);
for (const [value, digit] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries())
  DIGITS[digit.charCodeAt(0)] = value;

function encoded(bytes: Uint8Array): Uint8Array {
  return UTF8.encode(encodeBase64(bytes));
}

const UTF8 = new TextEncoder();
const TEXT = new TextDecoder();
