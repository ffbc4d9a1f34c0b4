import { createServer } from 'node:https';
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { once } from '../../once.ts';
import { startOwnBox } from '../hosts.ts';
import { NodeFixture } from '../node-fixture.ts';

const GOOD = { routes: { rows: [{ id: 'r1', name: 'good' }] } };
const NEXT = { routes: { rows: [{ id: 'r1', name: 'next' }] } };

/** Whoever holds the certificate of a control plane, but not its signing key: nothing it sends is taken, or piles up. */
describe('a hostile control plane', () => {
  let fixture: NodeFixture;
  beforeEach(async () => {
    fixture = await NodeFixture.create(startOwnBox);
    await fixture.start();
    await fixture.controlPlane.publish(GOOD);
    await fixture.controlPlane.heard('applied');
  });
  afterEach(() => fixture.remove());

  /** The node takes config again, and served the last one until then. */
  async function recovers(): Promise<void> {
    expect(await fixture.routes()).toEqual(['good']);
    const from = fixture.controlPlane.messages.length;
    await fixture.controlPlane.publish(NEXT);
    await fixture.controlPlane.heard('applied', () => true, from);
    expect(await fixture.routes()).toEqual(['next']);
  }

  test('sends frames that are no messages', async () => {
    const { controlPlane } = fixture;
    for (const frame of [
      '{"type":"manifest"',
      '['.repeat(500_000),
      '"x"',
      'null',
      Buffer.from([0xff, 0xfe]),
      '{"type":"manifest","manifest":5,"objects":[]}',
      '{"type":"manifest","manifest":"x","objects":{"../../etc/passwd":"AAAA"}}',
      '{"type":"target_health","upstream":"__proto__","target":"constructor"}',
      '{"type":"order","order":5}',
      '{"type":"order","order":"e30.e30.e30"}',
      '{"type":"explain","id":"1","request":{"path":5,"headers":"x"}}',
      '{"type":"withheld","reason":"because","sync_status":"nonsense"}',
    ]) {
      controlPlane.say(frame);
    }
    await controlPlane.heard('rejected', ({ reason }) => reason.includes('not a compact JWS'));
    await recovers();
  });

  test('sends a manifest, and a frame, larger than any', async () => {
    const { controlPlane } = fixture;
    controlPlane.push('x'.repeat(2 << 20));
    const { reason } = await controlPlane.heard('rejected');
    expect(reason).toBe('manifest: 2097152 bytes, more than the allowed 1048576');
    controlPlane.push('garbage');
    const from = controlPlane.messages.length;
    controlPlane.say('x'.repeat(64 << 20));
    // The connection ends at the head of the frame, and the node opens another.
    await controlPlane.heard('hello', () => true, from);
    await expect
      .poll(() => fixture.log.join('\n'))
      .toMatch(
        /Message is too large: 67108864 > 33554432|link to the control plane is down: Max payload size exceeded/,
      );
    await recovers();
  });

  test('sends a bomb for an object', async () => {
    const { controlPlane } = fixture;
    const bomb = gzipSync(Buffer.alloc(64 << 20));
    controlPlane.deliver = () => bomb;
    const from = controlPlane.messages.length;
    await controlPlane.publish(NEXT);
    const { reason } = await controlPlane.heard('rejected', () => true, from);
    expect(reason).toMatch(/more than the allowed \d+ bytes after decompression/);
    expect(await fixture.routes()).toEqual(['good']);
    controlPlane.deliver = (_name, gzip) => gzip;
    await controlPlane.heard('applied', ({ serial }) => serial === 2);
    expect(await fixture.routes()).toEqual(['next']);
  });

  test('never ends its answer to a node that polls', async () => {
    const { controlPlane } = fixture;
    await controlPlane.stop();
    const { cert, key } = controlPlane.certificate;
    let sent = 0;
    let cut = false;
    const endless = createServer({ cert, key }, async (request, response) => {
      if (request.method === 'POST') return void response.writeHead(204).end();
      response.writeHead(200, { 'content-type': 'application/json' });
      const closed = once(response, 'close').then(() => {
        cut = true;
      });
      const chunk = Buffer.alloc(1 << 16, 'x');
      while (!cut && sent < 512 << 20) {
        sent += chunk.length;
        if (!response.write(chunk)) await Promise.race([once(response, 'drain'), closed]);
      }
      response.end();
    });
    endless.on('upgrade', (_request, socket) =>
      socket.end('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n'),
    );
    // Upgraded connections, and those in the middle of a handshake, are none the server would close.
    const sockets = new Set<Socket>();
    endless.on('connection', (socket: Socket) => sockets.add(socket));
    const stop = () =>
      new Promise((resolve) => {
        endless.close(resolve);
        for (const socket of sockets) socket.destroy();
      });
    onTestFinished(() => void stop());
    endless.listen(controlPlane.port, '127.0.0.1');
    await vi.waitFor(() => expect(cut).toBe(true), { timeout: 60_000 });
    expect(sent).toBeLessThan(64 << 20);
    await stop();
    await controlPlane.start();
    await recovers();
  });
});
