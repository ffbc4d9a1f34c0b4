import type { MessageCodec } from './codec.ts';
import { FrameReader, frame, TRAILERS } from './frames.ts';

/** The messages of a gRPC answer as JSON, each as soon as it is complete. `framed`: in frames of gRPC-Web, trailers last. */
export function jsonMessages(
  codec: MessageCodec,
  type: string,
  { framed, ended }: { readonly framed: boolean; readonly ended: (trailers: Uint8Array | null) => Uint8Array | null },
): TransformStream<Uint8Array, Uint8Array> {
  const reader = new FrameReader();
  let trailers: Uint8Array | null = null;
  return new TransformStream({
    transform(bytes, controller) {
      for (const { flags, content } of reader.read(bytes)) {
        if (flags >= TRAILERS) {
          trailers = content;
          continue;
        }
        const text = UTF8.encode(JSON.stringify(codec.decode(type, content)));
        controller.enqueue(framed ? frame(0, text) : text);
      }
    },
    flush(controller) {
      const last = ended(trailers);
      if (last !== null) controller.enqueue(last);
    },
  });
}

const UTF8 = new TextEncoder();
