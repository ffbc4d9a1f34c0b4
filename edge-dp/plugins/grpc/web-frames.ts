import { concatBytes } from '../../../shared/bytes.ts';
import { decodeBase64, encodeBase64 } from '../../http/base64.ts';
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

/** A body of base64, each part of it padded or not; null for what is none. */
export function decodeBase64Text(body: Uint8Array): Uint8Array | null {
  const parts: Uint8Array[] = [];
  for (const part of TEXT.decode(body).match(/[^=]+=*|=+/g) ?? []) {
    const decoded = decodeBase64(part);
    if (decoded === null) return null;
    parts.push(decoded);
  }
  return concatBytes(parts);
}

function encoded(bytes: Uint8Array): Uint8Array {
  return UTF8.encode(encodeBase64(bytes));
}

const UTF8 = new TextEncoder();
const TEXT = new TextDecoder();
