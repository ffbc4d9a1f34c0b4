import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { allRows } from '../../../cp/declarative/all-rows.ts';
import { type ImportOutcome, importConfig, parseConfig } from '../../../cp/declarative/import.ts';
import { catalogOf } from '../../../cp/store/catalog.ts';
import { openStore } from '../../../cp/store/open.ts';
import { schemas } from '../../../cp/store/schemas.ts';
import type { Store, Workspace } from '../../../cp/store/store.ts';
import { exportYaml } from '../../../shared/declarative/export.ts';
import { entities } from '../../../shared/entities/registry.ts';
import type { Row } from '../../../shared/record.ts';
import { freshPrefix } from '../../embedded-database.ts';
import { authority } from '../pki/authority.ts';
import { workspaceOf } from '../store/workspace-of.ts';

const catalog = catalogOf(schemas);
const { context } = catalog;
let prefix: string;
let store: Store;
let workspace: Workspace;

beforeAll(async () => {
  prefix = await freshPrefix('migrated');
  store = await openStore({ database: 'embedded', prefix });
  workspace = await workspaceOf(store);
});

afterAll(async () => {
  await store?.close();
  rmSync(prefix, { recursive: true, force: true });
});

async function everything(): Promise<Record<string, Row[]>> {
  const rows: Record<string, Row[]> = {};
  for (const { name, db_export } of entities) {
    if (db_export === false || name === 'workspaces') continue;
    const found: Row[] = [];
    // `updated_at` tells when a row was written, as in Kong, not what it is.
    for await (const { updated_at: _, ...row } of allRows(workspace, name)) found.push(row);
    if (found.length > 0) rows[name] = found;
  }
  return rows;
}

async function exported(): Promise<string> {
  let text = '';
  for await (const piece of exportYaml((entity) => allRows(workspace, entity))) text += piece;
  return text;
}

async function load(text: string, mode: 'upsert' | 'replace'): Promise<ImportOutcome> {
  return importConfig(workspace, await parseConfig(text, context), { mode, catalog });
}

async function document(): Promise<string> {
  const { cert, key } = await (await authority('Import CA')).leaf({ name: 'import.example.com' });
  const indent = (pem: string) => pem.trim().replaceAll('\n', '\n      ');
  return `
_format_version: "3.0"
certificates:
  - cert: |
      ${indent(cert)}
    key: |
      ${indent(key)}
    snis: [{ name: import.example.com }, { name: "*.import.example.com" }]
services:
  - name: s1
    url: https://example.com/base
    tags: [a, b]
    routes:
      - name: r1
        paths: [/a, ~/b/\\d+$]
        headers: { x-version: [v1, v2] }
        plugins:
          - { name: rate-limiting, config: { minute: 5, policy: local } }
    plugins:
      - { name: key-auth }
      - { name: http-log, config: { http_endpoint: "http://127.0.0.1:1/log" } }
upstreams:
  - name: u1
    targets: [{ target: 10.0.0.1:80 }, { target: 10.0.0.2:80, weight: 7 }]
consumers:
  - username: ada
    keyauth_credentials: [{ key: k1 }]
    basicauth_credentials: [{ username: ada, password: secret }]
    acls: [{ group: g1 }]
plugins:
  - { name: correlation-id }
`;
}

it('takes a nested document, and loads it again without a change', async () => {
  const text = await document();
  await load(text, 'upsert');
  const rows = await everything();
  expect(Object.keys(rows)).toEqual(
    expect.arrayContaining([
      'services',
      'routes',
      'plugins',
      'upstreams',
      'targets',
      'consumers',
      'certificates',
      'snis',
    ]),
  );
  expect(rows.basicauth_credentials?.[0]?.password).toMatch(/^[0-9a-f]{40}$/);
  const serial = await store.changes.serial();
  await load(text, 'upsert');
  expect(await store.changes.serial()).toBe(serial);
});

it('exports what gives the same rows when it is loaded into an empty database', async () => {
  const before = await everything();
  const text = await exported();
  await load('_format_version: "3.0"', 'replace');
  expect(await everything()).toEqual({});
  const serial = await store.changes.serial();
  await load(text, 'upsert');
  expect(await everything()).toEqual(before);
  expect(await store.changes.serial()).toBe(serial + 1);
});

it('leaves everything as it was when one row is refused', async () => {
  const before = await everything();
  const serial = await store.changes.serial();
  const text = '_format_version: "3.0"\nservices: [{ name: new, host: h }]\nroutes: [{ name: r, paths: ["nope"] }]';
  await expect(load(text, 'replace')).rejects.toThrow(/declarative config is invalid/);
  expect(await everything()).toEqual(before);
  expect(await store.changes.serial()).toBe(serial);
});

it('lets heartbeats and requests have their turn while a large document is read and written', async () => {
  const consumers = Array.from({ length: 3_000 }, (_, n) => ({ username: `turn-${n}` }));
  let turns = 0;
  const others = setInterval(() => turns++, 1);
  const config = await parseConfig(JSON.stringify({ _format_version: '3.0', consumers }), context);
  expect(turns).toBeGreaterThan(2);
  turns = 0;
  await importConfig(workspace, config, { mode: 'upsert', catalog });
  clearInterval(others);
  expect(turns).toBeGreaterThan(2);
});

it('fills in what follows from a row that comes in its stored form, and hides nothing again', async () => {
  const indented = (await authority('Verbatim CA')).pem.trim().replaceAll('\n', '\n      ');
  const password = 'a'.repeat(40);
  const text = `
_format_version: "3.0"
_transform: false
ca_certificates:
  - id: 85a67812-678c-5fe5-9ff1-60af91f31b4b
    cert: |
      ${indented}
consumers:
  - username: verbatim
    basicauth_credentials: [{ username: verbatim, password: ${password} }]
`;
  await load(text, 'upsert');
  const rows = await everything();
  const stored = rows.ca_certificates?.find(({ id }) => id === '85a67812-678c-5fe5-9ff1-60af91f31b4b');
  expect(stored?.cert_digest).toMatch(/^[0-9a-f]{64}$/);
  expect(rows.basicauth_credentials?.find(({ username }) => username === 'verbatim')?.password).toBe(password);
  expect(await load(text, 'upsert')).toMatchObject({ written: 0 });
});

it('leaves tokens that data planes issued where they are, unless it holds tokens itself', async () => {
  const text = `${await document()}`.replace(
    'acls: [{ group: g1 }]',
    'oauth2_credentials: [{ id: 9f5ab1d6-7b1c-4c1e-8a4c-0c7c6f6b1d11, name: app, client_id: app, client_secret: s, redirect_uris: ["https://app.test"] }]',
  );
  await load(text, 'replace');
  const workspace = (await store.workspace('default')) ?? expect.fail('no default workspace');
  const credential = await workspace.entity('oauth2_credentials').select({ field: 'client_id', value: 'app' });
  const tokens = workspace.entity('oauth2_tokens');
  await tokens.insert({ credential: { id: credential?.id }, expires_in: 60, access_token: 'issued' });
  await load(text, 'replace');
  expect((await tokens.page()).rows.map(({ access_token }) => access_token)).toEqual(['issued']);
  await load(
    `${text}oauth2_tokens: [{ credential: ${credential?.id}, expires_in: 60, access_token: declared }]\n`,
    'replace',
  );
  expect((await tokens.page()).rows.map(({ access_token }) => access_token)).toEqual(['declared']);
});
