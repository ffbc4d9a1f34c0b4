import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { loadSettings } from '../../cp/settings/load.ts';
import { type Row, recordOrEmpty } from '../../shared/record.ts';
import { peerExecutable } from './peer.ts';

const run = promisify(execFile);
const CHART = fileURLToPath(new URL('../../packaging/helm/holdfast', import.meta.url));
/** What it is held to, and what the schemas of its resources are of. */
const KUBERNETES = '1.33.3';
const GROUPS: Readonly<Record<string, string>> = {
  'v1/Service': 'core.v1.Service',
  'apps/v1/Deployment': 'apps.v1.Deployment',
  'apps/v1/StatefulSet': 'apps.v1.StatefulSet',
  'policy/v1/PodDisruptionBudget': 'policy.v1.PodDisruptionBudget',
  'autoscaling/v2/HorizontalPodAutoscaler': 'autoscaling.v2.HorizontalPodAutoscaler',
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast helm '));
  await writeSchemas();
}, 600_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The schemas of the resources as Kubernetes publishes them, made strict: a field that is none is a fault. */
async function writeSchemas(): Promise<void> {
  const { stdout } = await run(peerExecutable('go'), ['mod', 'download', '-json', `k8s.io/kubernetes@v${KUBERNETES}`], {
    cwd: folder,
  });
  const { Dir: sources } = recordOrEmpty(JSON.parse(stdout));
  const swagger = JSON.parse(await readFile(join(String(sources), 'api/openapi-spec/swagger.json'), 'utf8'));
  const definitions: Record<string, Row> = swagger.definitions;
  for (const definition of Object.values(definitions)) {
    if (definition.format === 'int-or-string') {
      delete definition.type;
      definition.oneOf = [{ type: 'string' }, { type: 'integer' }];
    }
    if ('properties' in definition) definition.additionalProperties = false;
  }
  for (const [kind, name] of Object.entries(GROUPS)) {
    const [last = '', ...group] = kind.split('/').toReversed();
    const file = `${last.toLowerCase()}-${group.toReversed().join('-')}.json`;
    await writeFile(join(folder, file), JSON.stringify({ $ref: `#/definitions/io.k8s.api.${name}`, definitions }));
  }
}

async function render(values: string, ...more: string[]): Promise<readonly Readonly<Row>[]> {
  const { stdout } = await run(peerExecutable('helm'), [
    ...['template', 'gw', CHART, '--kube-version', KUBERNETES, '--values', join(CHART, `ci/${values}-values.yaml`)],
    ...more,
  ]);
  await writeFile(join(folder, `${values}.yaml`), stdout);
  return parseAllDocuments(stdout).map((document) => recordOrEmpty(document.toJS()));
}

/** Of every container of a workload, what it is given by name and value; what is secret by a stand-in. */
function environments(workload: Readonly<Row>): readonly Readonly<Record<string, string>>[] {
  const { spec } = recordOrEmpty(recordOrEmpty(workload.spec).template);
  const { initContainers = [], containers = [] } = recordOrEmpty(spec);
  return [initContainers, containers].flat().map((container) => {
    const { env } = recordOrEmpty(container);
    const variables = Array.isArray(env) ? env.map(recordOrEmpty) : [];
    return Object.fromEntries(variables.map(({ name, value }) => [String(name), String(value ?? 'secret')]));
  });
}

describe.each([
  ['both', ['Deployment control-plane', 'Deployment data-plane']],
  ['control-plane', ['Deployment control-plane']],
  ['data-plane', ['StatefulSet data-plane']],
])('the chart with the values of %s', (values, workloads) => {
  it('is what helm and Kubernetes take', async () => {
    const file = join(CHART, `ci/${values}-values.yaml`);
    const linted = await run(peerExecutable('helm'), ['lint', CHART, '--strict', '--values', file]);
    expect(linted.stdout).toContain('1 chart(s) linted, 0 chart(s) failed');
    const resources = await render(values);
    const schemas = join(folder, '{{ .ResourceKind }}{{ .KindSuffix }}.json');
    const checked = await run(peerExecutable('kubeconform'), [
      ...['-summary', '-schema-location', schemas, join(folder, `${values}.yaml`)],
    ]).catch((error) => error);
    expect(checked.stdout).toContain(`Valid: ${resources.length}, Invalid: 0, Errors: 0, Skipped: 0`);
  });

  it('gives each plane settings that are good, probes, and a budget of disruptions', async () => {
    const resources = await render(values);
    const ran = resources.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
    const named = ran.map(({ kind, metadata }) =>
      `${kind} ${recordOrEmpty(metadata).name}`.replace('gw-holdfast-', ''),
    );
    expect(named.toSorted()).toEqual(workloads);
    for (const environment of ran.flatMap(environments)) {
      const { warnings } = loadSettings({ environment });
      expect(warnings).toEqual([]);
    }
    for (const workload of ran) {
      const text = JSON.stringify(workload);
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe', 'readOnlyRootFilesystem'])
        expect(text).toContain(probe);
    }
    const budgets = resources.filter(({ kind }) => kind === 'PodDisruptionBudget');
    expect(budgets).toHaveLength(ran.length);
  });
});

it('says what it needs and was not given', async () => {
  const without = (setting: string) => render('both', '--set', setting).catch(({ stderr }) => stderr);
  expect(await without('controlPlane.database.host=')).toContain('controlPlane.database.host is needed');
  expect(await without('controlPlane.enabled=false')).toContain('dataPlane.controlPlanes is needed');
});
