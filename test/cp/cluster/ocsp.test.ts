import { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import { CertStatus, RevokedInfo } from '@peculiar/asn1-ocsp';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { revocationCheck } from '../../../cp/cluster/ocsp.ts';
import { loadClusterTls } from '../../../cp/pki/cluster-tls.ts';
import { once } from '../../once.ts';
import { type Authority, authority } from '../pki/authority.ts';
import { type Behaviour, type Responder, startResponder } from '../pki/ocsp-responder.ts';
import { type ClientTls, type ControlPlane, call, NODE_ID, startControlPlane } from './control-plane.ts';

let behaviour: Behaviour = {};
let responder: Responder;
let url = '';
let root: Authority;

beforeAll(async () => {
  root = await authority('cluster root');
  responder = await startResponder(root, () => behaviour);
  ({ url } = responder);
});
afterAll(() => responder?.stop());
afterEach(() => {
  behaviour = {};
});

const revoked = () =>
  new CertStatus({ revoked: new RevokedInfo({ revocationTime: new Date('2026-01-02T03:04:05Z') }) });
const leafOf = async (options: { ocsp?: string } = { ocsp: url }) =>
  new X509Certificate((await root.leaf({ name: 'dp', usages: ['clientAuth'], ...options })).cert);

function check(mode: 'on' | 'optional', lines: string[] = []) {
  return revocationCheck({ mode, ca: root.pem, log: (_, message) => lines.push(message) });
}

describe('the revocation check', () => {
  test('passes a good certificate, and does not ask again at once', async () => {
    const checking = check('on');
    const leaf = await leafOf();
    const before = responder.asked;
    expect([await checking(leaf), await checking(leaf)]).toEqual([null, null]);
    expect(responder.asked - before).toBe(1);
  });

  test('asks again after five minutes, however long the answer is good for', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const checking = check('on');
    const leaf = await leafOf();
    const before = responder.asked;
    behaviour = { validity: 3_600_000 };
    expect(await checking(leaf)).toBeNull();
    behaviour = { validity: 3_600_000, status: revoked() };
    vi.setSystemTime(Date.now() + 299_000);
    expect(await checking(leaf)).toBeNull();
    vi.setSystemTime(Date.now() + 2_000);
    expect(await checking(leaf)).toContain('was revoked at');
    expect(responder.asked - before).toBe(2);
  });

  test('keeps nothing of certificates that do not come back', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const checking = check('on');
    const [gone, other] = [await leafOf(), await leafOf()];
    await checking(gone);
    vi.setSystemTime(Date.now() + 301_000);
    const forgotten = vi.spyOn(Map.prototype, 'delete');
    onTestFinished(() => forgotten.mockRestore());
    await checking(other);
    expect(forgotten.mock.calls.flat()).toContain(gone.fingerprint256);
  });

  test('refuses a revoked certificate in both modes', async () => {
    behaviour = { status: revoked() };
    for (const mode of ['on', 'optional'] as const) {
      expect(await check(mode)(await leafOf())).toBe('was revoked at 2026-01-02T03:04:05.000Z');
    }
  });

  test('refuses an answer that cannot be had or trusted when it must be had, and only logs it when optional', async () => {
    const stranger = await authority('cluster root');
    const cases: [Behaviour, string | undefined, string][] = [
      [{}, undefined, 'names no OCSP responder'],
      [{}, 'http://127.0.0.1:1/', 'cannot be had'],
      [{ http: 500 }, url, 'answered with status 500'],
      [{ endless: true }, url, 'answered with more than 65536 bytes'],
      [{ signer: stranger }, url, 'not signed by its issuer'],
      [{ signer: stranger, status: revoked() }, url, 'not signed by its issuer'],
      [{ age: 86_400_000 }, url, 'no longer valid'],
      [{ age: -3_600_000 }, url, 'is not valid before'],
      [{ age: 90_000_000, validity: null }, url, 'no longer valid'],
      [{ otherSerial: true }, url, 'about another certificate'],
      [{ status: new CertStatus({ unknown: null }) }, url, 'does not know it'],
    ];
    for (const [next, ocsp, reason] of cases) {
      behaviour = next;
      const leaf = await leafOf(ocsp === undefined ? {} : { ocsp });
      expect(await check('on')(leaf)).toContain(reason);
      const lines: string[] = [];
      expect(await check('optional', lines)(leaf)).toBeNull();
      expect(lines).toEqual([expect.stringContaining(reason)]);
    }
  });
});

describe('a responder that is not the issuer itself', () => {
  test('is believed when the issuer appointed it', async () => {
    behaviour = { signer: await root.leaf({ usages: ['ocspSigning'] }), appointed: true };
    expect(await check('on')(await leafOf())).toBeNull();
    behaviour = { ...behaviour, status: revoked() };
    expect(await check('optional')(await leafOf())).toContain('was revoked at');
  });

  test('is not believed when someone else appointed it, or it was appointed for something else', async () => {
    const signers = [
      // A data plane's own certificate: else any of them could vouch for a revoked one.
      await root.leaf({ usages: ['clientAuth'] }),
      await root.leaf({ usages: ['ocspSigning'], notAfter: new Date(Date.now() - 1000) }),
      await (await root.intermediate('below')).leaf({ usages: ['ocspSigning'] }),
      await (await authority('cluster root')).leaf({ usages: ['ocspSigning'] }),
    ];
    for (const signer of signers) {
      behaviour = { signer, appointed: true };
      expect(await check('on')(await leafOf())).toContain('not signed by its issuer or in its name');
    }
    // Appointed, but its certificate is not shown.
    behaviour = { signer: await root.leaf({ usages: ['ocspSigning'] }) };
    expect(await check('on')(await leafOf())).toContain('not signed by its issuer or in its name');
  });
});

describe('the cluster listener with cluster_ocsp', () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    const server = await root.leaf({ usages: ['serverAuth'] });
    const tls = loadClusterTls({ mode: 'pki', ...server, ca: root.pem, end: 'server' });
    plane = await startControlPlane({ tls, revocation: check('on') });
  });
  afterAll(() => plane.stop());

  test('serves a good certificate and refuses a revoked one', async () => {
    const client = async (): Promise<ClientTls> => {
      const { cert, key } = await root.leaf({ name: 'dp', usages: ['clientAuth'], ocsp: url });
      return { cert, key, ca: root.pem, servername: 'cp.test' };
    };
    expect((await call(plane.port, `/v1/manifest?node=${NODE_ID}`, { tls: await client() })).status).toBe(428);
    behaviour = { status: revoked() };
    const answer = await call(plane.port, `/v1/manifest?node=${NODE_ID}`, { tls: await client() });
    expect([answer.status, answer.body.toString()]).toEqual([403, expect.stringContaining('was revoked at')]);
  });

  test('names the address of one that has left before the verdict was there', async () => {
    const left = Promise.withResolvers<void>();
    behaviour = { status: revoked(), after: left.promise };
    const { cert, key } = await root.leaf({ name: 'left.test', usages: ['clientAuth'], ocsp: url });
    const before = responder.asked;
    const socket = connect({ port: plane.port, host: '127.0.0.1', cert, key, ca: root.pem, servername: 'cp.test' });
    await vi.waitFor(() => expect(responder.asked).toBe(before + 1), { timeout: 20_000 });
    const { localPort } = socket;
    socket.destroy();
    await once(socket, 'close');
    // The control plane hears of it before it hears from the responder.
    await call(plane.port, '/').catch(() => undefined);
    left.resolve();
    await vi.waitFor(() => expect(plane.log.join('\n')).toContain("client certificate 'CN=left.test'"), {
      timeout: 20_000,
    });
    expect(plane.log.filter((line) => line.includes('left.test'))).toEqual([
      expect.stringContaining(`refused a connection from 127.0.0.1:${localPort}: `),
    ]);
  });
});
