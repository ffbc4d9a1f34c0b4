import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { checkCommand } from '../../../cp/commands/check.ts';
import { dataPlaneOptions } from '../../../cp/commands/data-plane-options.ts';
import { createLog } from '../../../cp/instance/log.ts';
import { generateListenerCertificate } from '../../../cp/pki/certificate.ts';
import { loadSettings, SettingsError } from '../../../cp/settings/load.ts';

const folder = mkdtempSync(join(tmpdir(), 'check '));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `holdfast check` prints of these settings, or the problems it ends with. What it warns of is added to `warnings`. */
async function check(settings: Record<string, string>, warnings: string[] = []): Promise<string | readonly string[]> {
  const conf = join(folder, 'holdfast.conf');
  writeFileSync(
    conf,
    Object.entries(settings)
      .map((pair) => `${pair.join(' = ')}\n`)
      .join(''),
  );
  let printed = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
  const warned = vi.spyOn(process.stderr, 'write').mockImplementation((text) => warnings.push(String(text)) > 0);
  try {
    const plugins = async () => ({ bundled: new Set<string>(), load: async () => [] });
    await checkCommand(plugins).run({ words: [], conf, prefix: folder, options: {} });
    return printed;
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  } finally {
    write.mockRestore();
    warned.mockRestore();
  }
}

it('reads the certificates and keys that settings name, and says at once of all what is wrong', async () => {
  const [pair, other] = await Promise.all([generateListenerCertificate('ecdsa'), generateListenerCertificate('ecdsa')]);
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const base64 = (pem: string) => Buffer.from(pem).toString('base64');
  const good = {
    data_plane_host: 'node',
    proxy_listen: '127.0.0.1:8443 ssl',
    ssl_cert: file('a.crt', pair.cert),
    ssl_cert_key: file('a.key', pair.key),
    admin_listen: '127.0.0.1:8444 ssl',
    admin_ssl_cert: base64(pair.cert),
    admin_ssl_cert_key: base64(pair.key),
    lua_ssl_trusted_certificate: `system, ${base64(other.cert)}`,
    nginx_proxy_proxy_ssl_trusted_certificate: base64(other.cert),
  };
  expect(await check(good)).toContain('settings are valid');

  const nowhere = join(folder, 'nowhere.pem');
  expect(
    await check({
      ...good,
      ssl_cert_key: file('b.key', other.key),
      admin_ssl_cert_key: base64(other.key),
      lua_ssl_trusted_certificate: file('none.pem', 'no PEM'),
      ssl_cipher_suite: 'custom',
      ssl_dhparam: folder,
      cluster_cert: folder,
      cluster_cert_key: folder,
      nginx_sproxy_proxy_ssl_trusted_certificate: folder,
      bundle_signing_key: folder,
      bundle_trusted_keys: folder,
    }),
  ).toEqual([
    expect.stringContaining('ssl_cert_key is not the key of ssl_cert'),
    expect.stringContaining('admin_ssl_cert_key is not the key of admin_ssl_cert'),
    expect.stringContaining('cluster_cert: cannot be read'),
    expect.stringContaining('bundle_signing_key: cannot be read'),
    expect.stringContaining('bundle_trusted_keys: cannot be read'),
    expect.stringContaining(`lua_ssl_trusted_certificate: '${join(folder, 'none.pem')}' is not a PEM file`),
    expect.stringContaining('ssl_dhparam: cannot be read'),
    expect.stringContaining('nginx_stream_proxy_ssl_trusted_certificate: cannot be read'),
  ]);

  // Settings are written before their files, and looked at elsewhere: what is not there is no fault of theirs.
  const warnings: string[] = [];
  const elsewhere = { admin_ssl_cert: nowhere, cluster_cert: 'x', cluster_cert_key: 'x', bundle_signing_key: nowhere };
  expect(await check({ ...good, ...elsewhere }, warnings)).toContain('settings are valid');
  for (const name of ['admin_ssl_cert', 'cluster_cert', 'bundle_signing_key'])
    expect(warnings.join('')).toContain(`warning: ${name}: cannot be read (ENOENT`);

  // Where nothing listens with TLS, nothing of it is read.
  expect(await check({ ...good, proxy_listen: '127.0.0.1:8000', ssl_cert: nowhere })).toContain('settings are valid');
});

it('tells the data plane how to look at certificates of upstreams', async () => {
  const { cert } = await generateListenerCertificate('ecdsa');
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const { settings } = loadSettings({
    environment: {
      KONG_ROLE: 'data_plane',
      KONG_DATABASE: 'off',
      KONG_DECLARATIVE_CONFIG: file('kong.yml', '_format_version: "3.0"\n'),
      KONG_NGINX_PROXY_PROXY_SSL_VERIFY: 'on',
      KONG_NGINX_PROXY_PROXY_SSL_VERIFY_DEPTH: '2',
      KONG_NGINX_STREAM_PROXY_SSL_TRUSTED_CERTIFICATE: file('ca.crt', cert),
    },
    overrides: { prefix: folder },
  });
  const { proxy } = await dataPlaneOptions(settings, createLog('crit'), {
    runnable: async () => new Set(),
    choice: { bundled: null, own: [] },
  });
  expect(proxy.upstreamTls).toEqual({
    http: { verify: true, verifyDepth: 2, ca: [] },
    stream: { verify: false, verifyDepth: null, ca: [cert.trim()] },
  });
});
