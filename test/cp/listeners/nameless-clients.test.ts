import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { ConnectionCounts } from '../../../cp/listeners/connection-counts.ts';
import { listen } from '../../../cp/listeners/http-listener.ts';

/** Sends a request, and resets the connection. */
const RESETTING = `
  const client = require('node:net').connect(Number(process.argv[1]), '127.0.0.1', () => {
    client.write('DELETE /nameless HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n', () => client.resetAndDestroy());
  });
`;

it('what comes on a connection that was reset before it was accepted is not done in the name of nobody', async () => {
  const came: (string | undefined)[] = [];
  const app = {
    fetch(request: Request, { remoteAddress }: { remoteAddress?: string | undefined }): Response {
      came.push(`${request.method} of ${remoteAddress}`);
      return new Response('ok');
    },
  };
  const address = { host: '127.0.0.1', port: 0, tls: false, http2: false };
  const listener = await listen(app, address, new ConnectionCounts());
  try {
    // Nothing is accepted meanwhile.
    const { status } = spawnSync(process.execPath, ['--eval', RESETTING, String(listener.port)]);
    expect(status).toBe(0);
    expect(await (await fetch(`http://127.0.0.1:${listener.port}/`)).text()).toBe('ok');
    expect(came).toEqual(['GET of 127.0.0.1']);
  } finally {
    await listener.close(0);
  }
});
