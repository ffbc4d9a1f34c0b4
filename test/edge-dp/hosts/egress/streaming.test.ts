import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EGRESS_TARGET, encodeHeader } from '../../../../edge-dp/proxy/egress/protocol.ts';
import { peakMemory } from '../../../proc.ts';
import { until } from '../../../until.ts';
import { EgressNode, target } from './egress-node.ts';

let egress: EgressNode;

beforeAll(async () => {
  egress = await EgressNode.start();
});

afterAll(() => egress.stop());

describe('streaming', () => {
  const MEGABYTE = Buffer.alloc(1 << 20, 'x');
  const MEGABYTES = 256;

  test('a large body goes each way without piling up', async () => {
    let received = 0;
    const port = await egress.serve(
      createServer((request, response) => {
        request.on('data', (chunk: Buffer) => {
          received += chunk.byteLength;
        });
        request.on('end', () => {
          let left = MEGABYTES;
          const write = (): void => {
            while (left > 0) {
              left -= 1;
              if (!response.write(MEGABYTE)) return void response.once('drain', write);
            }
            response.end();
          };
          write();
        });
      }),
    );
    const pid = egress.pid();
    const before = peakMemory(pid);
    const returned = await new Promise<number>((resolve, reject) => {
      const request = httpRequest(`${egress.node.url}/egress/`, {
        method: 'POST',
        agent: false,
        headers: { [EGRESS_TARGET]: encodeHeader(target(port)) },
      });
      request.on('error', reject);
      request.on('response', (response) => {
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.byteLength;
        });
        response.on('end', () => resolve(length));
        response.on('error', reject);
      });
      let left = MEGABYTES;
      const write = (): void => {
        while (left > 0) {
          left -= 1;
          if (!request.write(MEGABYTE)) return void request.once('drain', write);
        }
        request.end();
      };
      write();
    });
    expect(received).toBe(MEGABYTES << 20);
    expect(returned).toBe(MEGABYTES << 20);
    // Buffers on the way and garbage, which is collected late on a busy machine, but neither body.
    expect(peakMemory(pid) - before).toBeLessThan((MEGABYTES << 20) / 2);
  });

  test('an upstream is not read faster than the client reads', async () => {
    let written = 0;
    const port = await egress.serve(
      createServer((_request, response) => {
        const write = (): void => {
          written += MEGABYTE.byteLength;
          if (response.write(MEGABYTE)) setImmediate(write);
          else response.once('drain', write);
        };
        response.on('close', () => response.removeAllListeners('drain'));
        write();
      }),
    );
    const request = httpRequest(`${egress.node.url}/egress/`, {
      agent: false,
      headers: { [EGRESS_TARGET]: encodeHeader(target(port)) },
    });
    request.end();
    request.on('error', () => {});
    const response = await new Promise<IncomingMessage>((resolve) => request.once('response', resolve));
    response.pause();
    // It stops growing once every buffer on the way is full.
    let last = -1;
    await until(async () => {
      const still = written === last;
      last = written;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return still;
    });
    expect(written).toBeLessThan(40 << 20);
    request.destroy();
  });

  test('a client that goes away takes the upstream request with it', async () => {
    let gone = false;
    const port = await egress.serve(
      createServer((request, response) => {
        // The runtime sees that its client is gone when it has something for it.
        const events = setInterval(() => response.write('event'), 20);
        request.on('close', () => {
          clearInterval(events);
          gone = true;
        });
      }),
    );
    const request = httpRequest(`${egress.node.url}/egress/`, {
      headers: { [EGRESS_TARGET]: encodeHeader(target(port)) },
    });
    request.on('error', () => {});
    request.end();
    await new Promise<IncomingMessage>((resolve) => request.once('response', resolve));
    request.destroy();
    await until(() => gone);
  });

  test('an upstream that dies mid-body does not look complete', async () => {
    const port = await egress.serve(
      createServer((_request, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('half');
        setTimeout(() => response.destroy(), 50);
      }),
    );
    await expect(egress.send(target(port))).rejects.toThrow();
  });
});
