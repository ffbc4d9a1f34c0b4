import { createHmac } from 'node:crypto';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { health } from '../../../cp/commands/health.ts';
import { generateClusterCertificate } from '../../../cp/pki/certificate.ts';
import { type DataPlane, type DataPlaneOptions, NO_SECRETS } from '../../../edge-dp/hosts/options.ts';
import { admin } from '../../e2e/processes.ts';
import { once } from '../../once.ts';
import { until } from '../../until.ts';
import { hosts, type StartHost } from '../hosts.ts';
import { type CaseGateway, startCaseGateway } from '../plugins/case-runner/gateway.ts';
import { type CaseUpstream, startCaseUpstream } from '../plugins/case-runner/upstream.ts';

/** Secrets of this test, none of which may ever be shown. */
const SECRETS = ['plain-s3cret', 'prefixed-s3cret', 'rotated-s3cret', 'late-s3cret', 'filed-s3cret'] as const;
const [PLAIN, PREFIXED, ROTATED, LATE, FILED] = SECRETS;

describe.each(hosts)('references to vaults on %s', (host, start) => {
  let gateway: CaseGateway;
  let node: DataPlane;
  let started: DataPlaneOptions;
  let upstream: CaseUpstream;
  let folder: string;
  let secure: Server;
  const lines: string[] = [];

  const environment = async (text: string): Promise<void> => {
    await writeFile(join(folder, 'new'), text);
    await rename(join(folder, 'new'), join(folder, 'environment'));
  };
  /** The status of a webhook that is signed with a secret. */
  const send = async (path: string, secret: string): Promise<number> => {
    const timestamp = String(Math.floor(Date.now() / 1000));
    const signature = createHmac('sha256', secret).update(`m.${timestamp}.hello`).digest('base64');
    const response = await fetch(`http://127.0.0.1:${gateway.ports.plain}${path}`, {
      method: 'POST',
      headers: { 'webhook-id': 'm', 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` },
      body: 'hello',
    });
    await response.text();
    return response.status;
  };
  const answers = (path: string, secret: string, status: number): Promise<void> =>
    until(async () => (await send(path, secret)) === status, `${path} to answer ${status}`);
  const status = async (path: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${node.statusAddresses[0]?.port}${path}`);
    return response.text();
  };
  const webhook = async (path: string, secret: string): Promise<void> => {
    const route = await admin(`${gateway.admin}/routes`, 'POST', { paths: [path], service: { name: 'up' } });
    const config = { secret_v1: secret };
    await admin(`${gateway.admin}/routes/${route.id}/plugins`, 'POST', { name: 'standard-webhooks', config });
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast vault '));
    await environment(`APP_SIGNING='${JSON.stringify({ webhook: PREFIXED })}'\nOWN_FILED=${FILED}\n`);
    const [{ cert, key }, client] = await Promise.all([generateClusterCertificate(), generateClusterCertificate()]);
    secure = createServer(
      { cert, key, ca: client.cert, requestCert: true, rejectUnauthorized: false },
      (request, response) => response.end(String((request.socket as TLSSocket).authorized)),
    );
    secure.listen(0, '127.0.0.1');
    await once(secure, 'listening');
    const watched: StartHost = async (options) => {
      started = {
        ...options,
        secrets: {
          variables: { OWN_WEBHOOK: PLAIN, OWN_PAIR: JSON.stringify(client) },
          file: join(folder, 'environment'),
          prefix: 'own_',
        },
        log: (level, message) => {
          lines.push(message);
          options.log(level, message);
        },
      };
      node = await start(started);
      return node;
    };
    gateway = await startCaseGateway(watched, { tls: false });
    upstream = await startCaseUpstream([]);
    await admin(`${gateway.admin}/services`, 'POST', { name: 'up', host: upstream.host, port: upstream.port });
    const config = { prefix: 'APP_', ttl: 1, neg_ttl: 1 };
    await admin(`${gateway.admin}/vaults`, 'POST', { name: 'env', prefix: 'app', config });
    await webhook('/own', '{vault://env/webhook}');
    await webhook('/filed', '{vault://env/filed}');
    await webhook('/part', '{vault://app/signing/webhook}');
    await webhook('/late', '{vault://app/late}');
    await webhook('/nowhere', '{vault://nowhere/x}');
    await admin(`${gateway.admin}/certificates`, 'POST', {
      id: '00000000-0000-4000-8000-000000000060',
      cert: '{vault://env/pair/cert}',
      key: '{vault://env/pair/key}',
    });
    await admin(`${gateway.admin}/certificates`, 'POST', {
      id: '00000000-0000-4000-8000-000000000061',
      cert: '{vault://env/pair/cert}',
      key: '{vault://env/no-key}',
    });
    for (const [name, id] of [['client', '60'] as const, ['keyless', '61'] as const]) {
      const service = await admin(`${gateway.admin}/services`, 'POST', {
        name,
        url: `https://127.0.0.1:${(secure.address() as AddressInfo).port}`,
        client_certificate: { id: `00000000-0000-4000-8000-0000000000${id}` },
      });
      await admin(`${gateway.admin}/routes`, 'POST', { paths: [`/${name}`], service: { id: service.id } });
    }
    await gateway.applied();
  });
  afterAll(async () => {
    await gateway?.stop();
    await upstream?.stop();
    secure?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('come to secrets of the node: its environment, a file, a vault entity with its prefix, a part of JSON', async () => {
    expect(await send('/own', PLAIN)).toBe(200);
    expect(await send('/own', '{vault://env/webhook}')).toBe(400);
    expect(await send('/filed', FILED)).toBe(200);
    expect(await send('/part', PREFIXED)).toBe(200);
  });

  it('that lead nowhere fail closed, and log, status and metrics name them', async () => {
    expect(await send('/late', '{vault://app/late}')).toBe(500);
    expect(await send('/nowhere', '{vault://nowhere/x}')).toBe(500);
    const { unresolved_references: unresolved } = JSON.parse(await status('/status'));
    expect(unresolved).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          reference: '{vault://app/late}',
          reason: 'this node has no variable APP_LATE',
          entity: 'plugins',
        }),
        expect.objectContaining({ reference: '{vault://nowhere/x}', reason: "there is no vault 'nowhere'" }),
        expect.objectContaining({ reference: '{vault://env/no-key}', entity: 'certificates' }),
      ]),
    );
    expect(unresolved).toHaveLength(3);
    const metrics = await status('/metrics');
    expect(metrics).toMatch(/^holdfast_vault_references 9$/m);
    expect(metrics).toMatch(/^holdfast_vault_references_unresolved 3$/m);
    await until(
      () =>
        lines.some((line) =>
          /request \w+: plugin standard-webhooks .* failed in access: \{vault:\/\/app\/late\}/.test(line),
        ),
      'a line of the log that names the reference',
    );
  });

  it('that lead nowhere are warned of by `holdfast health`', async () => {
    const prefix = await mkdtemp(join(folder, 'prefix '));
    const conf = join(prefix, 'holdfast.conf');
    const onNode = host === 'node';
    const home = join(prefix, 'data-plane', ...(onNode ? ['native'] : []));
    await mkdir(home, { recursive: true });
    await writeFile(join(home, 'node-id'), node.nodeId);
    const listen = `127.0.0.1:${node.statusAddresses[0]?.port}`;
    const kind = onNode ? 'node' : 'workerd';
    await writeFile(
      conf,
      `admin_listen = off\nprefix = ${prefix}\nstatus_listen = ${listen}\ndata_plane_host = ${kind}\n`,
    );
    const said: string[] = [];
    const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => said.push(String(text)) > 0);
    await Promise.resolve(health.run({ words: [], conf, prefix, options: {} })).finally(() => spy.mockRestore());
    expect(said.join('')).toMatch(
      /^warning: data plane: plugins \S+ fails closed: \{vault:\/\/app\/late\} cannot be resolved: this node has no variable APP_LATE$/m,
    );
  });

  it('are followed in certificates', async () => {
    const shown = async (path: string) => (await fetch(`http://127.0.0.1:${gateway.ports.plain}${path}`)).text();
    if (host !== 'Miniflare') expect(await shown('/client')).toBe('true');
    const refusal = await shown('/keyless');
    expect(refusal).toContain('needs certificate 00000000-0000-4000-8000-000000000061');
    expect(refusal).not.toContain('vault');
  });

  it.runIf(host !== 'Miniflare')(
    'are followed again when their time is over, and secrets outlive their variables',
    async () => {
      await environment(`APP_SIGNING='${JSON.stringify({ webhook: ROTATED })}'\nAPP_LATE=${LATE}\n`);
      await answers('/part', ROTATED, 200);
      expect(await send('/part', PREFIXED)).toBe(400);
      await answers('/late', LATE, 200);
      await environment(`APP_LATE=${PLAIN}\n`);
      await answers('/late', PLAIN, 200);
      expect(await send('/part', ROTATED)).toBe(200);
      // Without a ttl of its own it is read when config with it is applied.
      expect(await send('/filed', FILED)).toBe(200);
    },
  );

  it('follow the vault entity when that changes', async () => {
    await admin(`${gateway.admin}/vaults/app`, 'PATCH', { config: { prefix: 'OTHER_', resurrect_ttl: 0 } });
    await answers('/part', host === 'Miniflare' ? PREFIXED : ROTATED, 500);
    expect(await send('/own', PLAIN)).toBe(200);
  });

  it.runIf(host !== 'Miniflare')('are followed, and end with their ttl, while there is no control plane', async () => {
    await gateway.loseControlPlane();
    await environment(`OTHER_SIGNING='${JSON.stringify({ webhook: PREFIXED })}'\n`);
    await answers('/part', PREFIXED, 200);
    await environment('');
    await answers('/part', PREFIXED, 500);
    expect(JSON.parse(await status('/status')).unresolved_references).toContainEqual(
      expect.objectContaining({ reason: 'this node has no variable OTHER_SIGNING' }),
    );
  });

  it.runIf(host !== 'Miniflare')('are looked for in another file after a reload', async () => {
    const file = join(folder, 'another');
    await writeFile(file, `OWN_FILED=${LATE}\n`);
    await node.reload({ ...started, secrets: { ...(started.secrets ?? NO_SECRETS), file } });
    await answers('/filed', LATE, 200);
  });

  it('never show a secret', async () => {
    const shown = [...lines, await status('/status'), await status('/metrics')].join('\n');
    for (const secret of SECRETS) expect(shown).not.toContain(secret);
    expect(shown).not.toContain('PRIVATE KEY');
  });
});
