import type { Address, Queue, Services } from './runtime/services.ts';
import { UNQUEUED } from './unqueued.ts';

/** Texts on their way to a server, a UDP packet each. One that no packet holds is dropped, and told. */
export function packetQueue(plugin: string, address: Address, services: Services): Queue<string> {
  const name = `${plugin} ${address.host}:${address.port}`;
  const packets = services.queue<Uint8Array>(name, UNQUEUED, (batch) => services.datagram(address, batch));
  return {
    push(text, on) {
      const packet = utf8.encode(text);
      if (packet.length <= LONGEST) packets.push(packet, on);
      else services.log('error', `${name}: an entry of ${packet.length} bytes is more than a UDP packet holds`);
    },
    close: () => packets.close(),
  };
}

const utf8 = new TextEncoder();
const LONGEST = 65_507;
