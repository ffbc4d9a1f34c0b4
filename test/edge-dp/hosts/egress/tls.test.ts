import type { IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Identities } from '../../../../edge-dp/hosts/egress/identities.ts';
import { TlsIdentities } from '../../../../edge-dp/proxy/egress/tls-identities.ts';
import { type Authority, authority } from '../../../cp/pki/authority.ts';
import { until } from '../../../until.ts';
import { EgressNode, target } from './egress-node.ts';

/** Identities as an isolate hands them to the egress process; `onIdentity`: what that tells of them, a minus before those it lets go of. */
function handOver() {
  const identities = new Identities(null);
  const onIdentity: string[] = [];
  const handed = new TlsIdentities({
    async fetch(url, { body }) {
      const name = new URL(url).pathname.split('/').at(-1) ?? '';
      const unused = identities.add(name, new TextDecoder().decode(body));
      onIdentity.push(name, ...unused.map((each) => `-${each}`));
      return new Response(null, { status: 204 });
    },
  });
  return { identities, handed, onIdentity };
}

const tlsOf = (pem: string, verifyDepth: number | null = null) =>
  ({ verify: true, verifyDepth, ca: [pem], certificate: null }) as const;

let egress: EgressNode;
let ca: Authority;

beforeAll(async () => {
  [egress, ca] = await Promise.all([EgressNode.start(), authority('upstreams')]);
});

afterAll(() => egress.stop());

describe('TLS', () => {
  const show = (request: IncomingMessage, response: { end(text: string): void }) => {
    const socket = request.socket;
    const peer: unknown = Reflect.apply(Reflect.get(socket, 'getPeerCertificate'), socket, []);
    response.end(
      JSON.stringify({ sni: Reflect.get(socket, 'servername'), client: Reflect.get(Object(peer), 'subject') }),
    );
  };

  test('a private CA, the server name and a client certificate are what the identity says', async () => {
    const clients = await authority('clients');
    const { cert, key } = await ca.leaf({ name: 'secure.test' });
    const port = await egress.serve(
      createHttpsServer({ cert, key, ca: clients.pem, requestCert: true, rejectUnauthorized: true }, show),
    );
    const mine = await clients.leaf({ name: 'gateway' });
    const to = (name: string | null, serverName = 'secure.test') =>
      target(port, { scheme: 'https', tls: { identity: name, serverName } });

    const trusted = await egress.identity({ ca: [ca.pem], certificate: { cert: mine.cert, key: mine.key } });
    expect(JSON.parse((await egress.send(to(trusted))).text)).toEqual({
      sni: 'secure.test',
      client: { CN: 'gateway' },
    });

    expect((await egress.send(to(trusted, 'other.test'))).failure).toMatchObject({
      code: 'tls',
      message: expect.stringContaining('other.test'),
    });
    expect((await egress.send(to(null))).failure).toMatchObject({ code: 'tls', sent: false });
    const anonymous = await egress.identity({ ca: [ca.pem] });
    // This server hangs up on clients it does not accept, and its alert may get lost with the connection.
    const unaccepted = { code: expect.stringMatching(/^(?:tls|closed)$/) };
    expect((await egress.send(to(anonymous))).failure).toMatchObject(unaccepted);
    const stranger = await (await authority('strangers')).leaf();
    const wrong = await egress.identity({ ca: [ca.pem], certificate: { cert: stranger.cert, key: stranger.key } });
    expect((await egress.send(to(wrong))).failure).toMatchObject(unaccepted);
  });

  test('verification can be turned off, and the chain limited', async () => {
    const { cert, key } = await (await (await ca.intermediate('one')).intermediate('two')).leaf({ name: 'deep.test' });
    const port = await egress.serve(createHttpsServer({ cert, key }, show));
    const to = (name: string) => target(port, { scheme: 'https', tls: { identity: name, serverName: 'deep.test' } });

    expect((await egress.send(to(await egress.identity({ verify: false })))).status).toBe(200);
    expect((await egress.send(to(await egress.identity({ ca: [ca.pem], verifyDepth: 2 })))).status).toBe(200);
    const { failure } = await egress.send(to(await egress.identity({ ca: [ca.pem], verifyDepth: 1 })));
    expect(failure).toMatchObject({ code: 'tls', sent: false, message: expect.stringContaining('tls_verify_depth 1') });
  });

  test('identities that were not used for long are let go of, and handed over anew before', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const { identities, handed, onIdentity } = handOver();
      const old = tlsOf(ca.pem);
      const kept = tlsOf(ca.pem, 3);
      const first = await handed.nameOf(old);
      const second = await handed.nameOf(kept);
      for (let hour = 0; hour < 3; hour++) {
        vi.setSystemTime(Date.now() + 50 * 60_000);
        expect(await handed.nameOf(kept)).toBe(second);
        identities.get(second);
      }
      expect(onIdentity).toHaveLength(2);
      const third = await handed.nameOf(tlsOf(ca.pem, 5));
      // The one that was used is still there, and the other comes back with its next use.
      expect(onIdentity).toEqual([first, second, third, `-${first}`]);
      expect(() => identities.get(first)).toThrow(/was not handed over/);
      expect(identities.get(second).verifyDepth).toBe(3);
      expect(await handed.nameOf(old)).toBe(first);
      expect(identities.get(first).verifyDepth).toBe(null);
    } finally {
      vi.useRealTimers();
    }
  });

  test('an identity nobody handed over is asked for; one that was survives a crash of the process', async () => {
    const { cert, key } = await ca.leaf({ name: 'kept.test' });
    const port = await egress.serve(createHttpsServer({ cert, key }, show));
    const to = (name: string) => target(port, { scheme: 'https', tls: { identity: name, serverName: 'kept.test' } });
    expect((await egress.send(to('0'.repeat(64)))).failure).toMatchObject({ code: 'unknown_identity', sent: false });

    const name = await egress.identity({ ca: [ca.pem] });
    const before = egress.pid();
    process.kill(before, 'SIGKILL');
    await until(() => egress.node.log.some((line) => line.includes('the egress process is running again')));
    expect(egress.pid()).not.toBe(before);
    expect((await egress.send(to(name))).status).toBe(200);
  });
});
