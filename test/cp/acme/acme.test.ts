import { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startNodeHost } from '../../../edge-dp/hosts/node/host.ts';
import { mustBeRecord, type Row } from '../../../shared/record.ts';
import { type CaseGateway, startCaseGateway } from '../../edge-dp/plugins/case-runner/gateway.ts';
import { type AcmeServer, startAcmeServer } from './acme-server.ts';

/** A whole product, whose control plane orders and whose data plane answers for challenges. */
let gateway: CaseGateway;
let server: AcmeServer;
let strict: AcmeServer;
let plugin: string;

const MAC_KEY = Buffer.alloc(32, 7).toString('base64url');

beforeAll(async () => {
  [gateway, server, strict] = await Promise.all([
    startCaseGateway(startNodeHost, { tls: true }),
    startAcmeServer(),
    startAcmeServer({ external: { 'kid-1': MAC_KEY } }),
  ]);
  server.challengePort = gateway.ports.plain;
  strict.challengePort = gateway.ports.plain;
});
afterAll(async () => {
  await gateway?.stop();
  server?.stop();
  strict?.stop();
});

async function call(method: string, path: string, body?: object) {
  const answer = await fetch(`${gateway.admin}${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  return { status: answer.status, json: mustBeRecord(await answer.json(), `${method} ${path}`) };
}

async function configure(config: Row): Promise<void> {
  const { status, json } = await call('PATCH', `/plugins/${plugin}`, { config });
  expect(status, JSON.stringify(json)).toBe(200);
  await gateway.applied();
}

/** The serial number of what the data plane serves to clients that ask for a name. */
function shown(host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const port = gateway.ports.tls ?? expect.fail('there is no TLS listener');
    const socket = connect({ host: '127.0.0.1', port, servername: host, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

/** What is kept for a name. */
async function served(host: string): Promise<X509Certificate> {
  const { json } = await call('GET', `/certificates/${host}`);
  return new X509Certificate(String(json.cert));
}

it('has no endpoints without the plugin', async () => {
  for (const path of ['/acme/certificates', '/acme/certificates/a.test']) {
    expect((await call('GET', path)).status).toBe(404);
  }
  expect((await call('POST', '/acme', { host: 'a.test' })).status).toBe(404);
});

it('orders a certificate whose challenge any data plane answers, without a route, and has it served', async () => {
  const made = await call('POST', '/plugins', {
    name: 'acme',
    config: {
      account_email: 'ops@example.test',
      api_uri: server.url.replace('/directory', ''),
      tos_accepted: true,
      storage: 'kong',
      domains: ['a.test', '*.b.test'],
      cert_type: 'ecc',
      fail_backoff_minutes: 10,
    },
  });
  expect(made.status, JSON.stringify(made.json)).toBe(201);
  plugin = String(made.json.id);
  await gateway.applied();
  server.faults.nonces = 2;
  expect(await call('POST', '/acme', { host: 'A.test' })).toMatchObject({
    status: 201,
    json: { message: 'certificate for host A.test is created' },
  });
  expect(server.accounts).toEqual([{ termsOfServiceAgreed: true, contact: ['mailto:ops@example.test'] }]);
  expect((await served('a.test')).subject).toBe('CN=a.test');
  const { json } = await call('GET', '/acme/certificates/a.test');
  expect(json.data).toEqual({
    digest: (await served('a.test')).fingerprint,
    host: 'a.test',
    issuer_cn: 'acme root',
    not_before: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
    not_after: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
    valid: true,
    serial_number: expect.stringMatching(/^([0-9A-F]{2}:){11}[0-9A-F]{2}$/),
    pubkey_type: 'id-ecPublicKey',
  });
  expect((await call('GET', '/acme/certificates')).json).toEqual({ data: [json.data] });
  expect((await call('GET', '/acme/certificates?invalid_only=1')).json).toEqual({ data: [] });
  // The challenge is over, and the account's key is in no bundle.
  expect((await call('GET', '/certificates/a.test')).json.tags).toEqual(['managed-by-acme']);
});

it('renews what is due, with the same key, in place of the old one, and nothing else', async () => {
  const before = await served('a.test');
  const orders = server.ordered.length;
  const renew = async () => {
    expect(await call('PATCH', '/acme')).toEqual({
      status: 202,
      json: { message: 'Renewal process started successfully' },
    });
  };
  await renew();
  expect((await served('a.test')).serialNumber).toBe(before.serialNumber);
  await configure({ renew_threshold_days: 89, preferred_chain: 'other root' });
  server.faults.days = 2;
  expect(server.ordered.length).toBe(orders);
  // A third of ninety days is not reached: one of two days, ordered at once, will be.
  expect((await call('POST', '/acme', { host: 'a.test' })).status).toBe(201);
  const after = await served('a.test');
  expect(after.serialNumber).not.toBe(before.serialNumber);
  await expect.poll(() => shown('a.test')).toBe(after.serialNumber);
  expect(after.publicKey.equals(before.publicKey)).toBe(true);
  const { json } = await call('GET', '/certificates');
  expect(json.data).toHaveLength(1);
  const [chain] = json.data as [{ cert: string }];
  const [, last = ''] = chain.cert.match(/-----BEGIN[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  expect(new X509Certificate(last).subject).toBe('CN=other root');
  // Of one of a good hour a third is left.
  server.faults.days = 0.01;
  expect((await call('POST', '/acme', { host: 'a.test' })).status).toBe(201);
  const short = await served('a.test');
  server.faults.days = 90;
  await renew();
  await expect.poll(async () => (await served('a.test')).serialNumber).not.toBe(short.serialNumber);
});

it('orders by itself for the names it is configured with, also by wildcard where one is asked for', async () => {
  await configure({ domains: ['a.test', 'c.test', '*.b.test'], cert_type: 'rsa', rsa_key_size: 2048 });
  await call('PATCH', '/acme');
  await expect.poll(() => server.ordered.includes('c.test')).toBe(true);
  await expect.poll(async () => (await call('GET', '/certificates/c.test')).status).toBe(200);
  expect((await served('c.test')).publicKey.asymmetricKeyType).toBe('rsa');
  expect((await call('POST', '/acme', { host: 'x.b.test' })).status).toBe(201);
});

it('says what is wrong with a host, tries its challenges, and pauses after failures', async () => {
  const answers: [object, number, string | RegExp][] = [
    [{}, 400, 'host must be provided and containing a single domain'],
    [{ host: 'a.test:80' }, 400, 'port is not allowed in host'],
    [
      { host: 'other.test', test_http_challenge_flow: true },
      400,
      'problem found running sanity check for other.test: host is not included in plugin config.domains',
    ],
    [{ host: 'a.test', test_http_challenge_flow: true }, 400, /^problem found running sanity check for a\.test: /],
    // The data plane answers for nobody else's name.
    [{ host: 'other.test' }, 500, /^failed to update certificate: the challenge is invalid: .*other\.test answered/],
    [{ host: '127.0.0.1' }, 500, /^failed to update certificate: 127\.0\.0\.1 is an address: /],
    [{ host: 'other.test' }, 500, /please try again in \d{3} seconds for host other\.test/],
  ];
  for (const [body, status, message] of answers) {
    const answer = await call('POST', '/acme', body);
    expect(answer, JSON.stringify(body)).toMatchObject({
      status,
      json: { message: typeof message === 'string' ? message : expect.stringMatching(message) },
    });
  }
  server.faults.token = '../../secret';
  expect((await call('POST', '/acme', { host: 'y.b.test' })).json.message).toContain('the token is not in base64url');
  server.faults.token = null;
  expect(await call('GET', '/acme/certificates/none.test')).toMatchObject({ status: 404 });
  expect(server.ordered).not.toContain('127.0.0.1');
  // Any name is one to answer for, once it is said so.
  await configure({ allow_any_domain: true });
  expect((await call('POST', '/acme', { host: 'any.test' })).status).toBe(201);
  expect((await served('any.test')).subject).toBe('CN=any.test');
  await configure({ allow_any_domain: false });
});

it('binds the account to an external one, and agrees to nothing unasked', async () => {
  await configure({ api_uri: strict.url, eab_kid: 'kid-1', eab_hmac_key: MAC_KEY, tos_accepted: false });
  expect((await call('POST', '/acme', { host: 'd.b.test' })).json.message).toContain('agree to the terms first');
  await configure({ tos_accepted: true, eab_hmac_key: Buffer.alloc(32).toString('base64url') });
  expect((await call('POST', '/acme', { host: 'e.b.test' })).json.message).toContain('no binding that holds');
  await configure({ eab_hmac_key: MAC_KEY });
  expect((await call('POST', '/acme', { host: 'f.b.test' })).status).toBe(201);
});
