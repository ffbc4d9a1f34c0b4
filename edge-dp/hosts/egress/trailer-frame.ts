import type { RawHeaders } from './headers.ts';

/** A gRPC-Web trailer frame: flag 0x80, length, `name: value` lines (gRPC's PROTOCOL-WEB). */
export function trailerFrame(trailers: RawHeaders): Buffer {
  let text = '';
  for (let at = 0; at + 1 < trailers.length; at += 2) text += `${trailers[at]}: ${trailers[at + 1]}\r\n`;
  const block = Buffer.from(text, 'latin1');
  const head = Buffer.from([0x80, 0, 0, 0, 0]);
  head.writeUInt32BE(block.byteLength, 1);
  return Buffer.concat([head, block]);
}
