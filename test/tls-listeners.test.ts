import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateListenerCertificate } from '../cp/pki/certificate.ts';
import type { DataPlane } from '../edge-dp/hosts/options.ts';
import { type RunningControlPlane, runControlPlane } from './cp/running-control-plane.ts';
import { nodeOptions, startOwnBox } from './edge-dp/hosts.ts';

let plane: RunningControlPlane;
let node: DataPlane;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tls listeners '));
  plane = await runControlPlane({ admin_listen: '127.0.0.1:0 ssl', admin_gui_listen: '127.0.0.1:0 ssl' });
  const tls = await generateListenerCertificate();
  const listen = [{ host: '127.0.0.1', port: 0, tls }];
  node = await startOwnBox(nodeOptions(join(folder, 'node'), null, { proxyListen: listen, statusListen: listen }));
});
afterAll(async () => {
  await node?.stop(0);
  await plane?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** `version cipher` of a handshake, or null when the server refuses it. */
function handshake(port: number, options: ConnectionOptions): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => {
      resolve(`${socket.getProtocol()} ${socket.getCipher().name}`);
      socket.destroy();
    });
    socket.setTimeout(60_000, () => socket.destroy());
    socket.once('error', () => resolve(null)).once('close', () => resolve(null));
  });
}

const SUITES = (...names: readonly string[]) =>
  names.flatMap((name) => [`ECDHE-ECDSA-${name}`, `ECDHE-RSA-${name}`]).join(':');

describe.each([
  ['admin_listen', () => plane.plane.admin[0]?.port],
  ['admin_gui_listen', () => plane.plane.ui[0]?.port],
  ['cluster_listen', () => plane.plane.cluster?.port],
  ['proxy_listen', () => node.proxyAddresses[0]?.port],
  ['status_listen', () => node.statusAddresses[0]?.port],
] as const)('%s', (_, address) => {
  const port = () => address() ?? 0;

  it('takes TLS 1.3, and TLS 1.2 with authenticated encryption', async () => {
    expect(await handshake(port(), {})).toMatch(/^TLSv1\.3 /);
    for (const suite of ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305']) {
      const options: ConnectionOptions = { maxVersion: 'TLSv1.2', ciphers: SUITES(suite) };
      expect(await handshake(port(), options)).toBe(`TLSv1.2 ECDHE-ECDSA-${suite}`);
    }
  });

  it('refuses CBC, key exchange without forward secrecy, and TLS 1.1', async () => {
    const cbc = `${SUITES('AES128-SHA', 'AES256-SHA', 'AES128-SHA256', 'AES256-SHA384')}:@SECLEVEL=0`;
    expect(await handshake(port(), { maxVersion: 'TLSv1.2', ciphers: cbc })).toBe(null);
    const rsa = 'AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA:@SECLEVEL=0';
    expect(await handshake(port(), { maxVersion: 'TLSv1.2', ciphers: rsa })).toBe(null);
    const old: ConnectionOptions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' };
    expect(await handshake(port(), old)).toBe(null);
  });
});
