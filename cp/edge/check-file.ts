import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord, type Row, recordOrEmpty } from '../../shared/record.ts';
import { isUuid } from '../../shared/uuid.ts';
import { factsIn, listOf, MIGRATIONS, numbered, settingsIn } from './wrangler-file.ts';

/** What the control plane of these settings expects of its data planes at the edge. */
interface Expected {
  readonly cluster: string | null;
  /** Key ids. */
  readonly keys: readonly string[];
  readonly version: string;
}

/** What is wrong with a configuration before it is deployed, a sentence each. */
export function fileProblems(folder: string, config: Row, expected: Expected): string[] {
  const facts = factsIn(config);
  const settings = settingsIn(config);
  const problems: string[] = [];
  const say = (problem: string) => void problems.push(problem);

  if (!/^[0-9a-f]{32}$/.test(facts.kv ?? '') || /^0+$/.test(facts.kv ?? '')) {
    say(
      `kv_namespaces: ${found(facts.kv)}; make one by 'npx wrangler kv namespace create ${facts.name}' and give its id to 'holdfast edge init --kv ID'`,
    );
  }
  if (!isUuid(facts.certificate ?? '') || /^[0-]+$/.test(facts.certificate ?? '')) {
    say(
      `mtls_certificates: ${found(facts.certificate)}; upload one by 'npx wrangler cert upload mtls-certificate' and give its id to 'holdfast edge init --certificate ID'`,
    );
  }
  const main = typeof config.main === 'string' ? config.main : '';
  if (main === '' || !existsSync(join(folder, main))) {
    say(`main: there is no Worker at '${main}'; 'holdfast edge init' bundles it`);
  }
  const { id, version } = recordOrEmpty(settings.node);
  if (typeof id !== 'string' || !isUuid(id) || /^0+-0+-4000/.test(id))
    say(`SETTINGS.node.id: '${id}' is no UUID of its own`);
  if (version !== expected.version) {
    say(
      `SETTINGS.node.version: the Worker is of ${version}, this is ${expected.version}; 'holdfast edge init' makes it anew`,
    );
  }
  if (settings.cluster !== expected.cluster) {
    say(`SETTINGS.cluster: '${settings.cluster}' is not this control plane's, '${expected.cluster}'`);
  }
  const trusted = listOf(settings.trustedKeys).map((key) => recordOrEmpty(key).kid);
  if (!expected.keys.some((kid) => trusted.includes(kid))) {
    say(
      `SETTINGS.trustedKeys: none of them is a key of this control plane's (${expected.keys.join(', ')}): it would refuse every config`,
    );
  }
  if (facts.controlPlanes.length === 0) say('SETTINGS.controlPlaneOrigins: names no control plane');
  const bindings = listOf(config.mtls_certificates).map((one) => recordOrEmpty(one).binding);
  for (const binding of [
    ...numbered('CONTROL_PLANE', facts.controlPlanes),
    ...numbered('TELEMETRY', facts.telemetry),
  ]) {
    if (facts.certificate !== null && !bindings.includes(binding))
      say(`mtls_certificates: there is no binding ${binding}`);
  }
  problems.push(...objectProblems(config), ...secretProblems(settings));
  return problems;
}

function found(id: string | null): string {
  return id === null ? 'there is no id yet' : `'${id}' is no id`;
}

/** Classes and steps are where the data of Durable Objects lies. */
function objectProblems(config: Row): string[] {
  const problems: string[] = [];
  const objects = listOf(recordOrEmpty(config.durable_objects).bindings).map(recordOrEmpty);
  for (const [name, owner] of [
    ['LINK', 'ClusterLink'],
    ['HEALTH', 'HealthChecker'],
    ['STATE', 'NodeState'],
  ] as const) {
    if (!objects.some((one) => one.name === name && one.class_name === owner)) {
      problems.push(`durable_objects: there is no binding ${name} of class ${owner}`);
    }
  }
  const tags = listOf(config.migrations).map((step) => recordOrEmpty(step).tag);
  for (const { tag } of MIGRATIONS) if (!tags.includes(tag)) problems.push(`migrations: step '${tag}' is missing`);
  const node = listOf(config.services)
    .map(recordOrEmpty)
    .find((one) => one.binding === 'NODE');
  if (node?.service !== config.name || node?.entrypoint !== 'NodeService') {
    problems.push(`services: NODE is to be the entrypoint NodeService of this Worker, '${config.name}'`);
  }
  return problems;
}

/** Whoever may look at the Worker in the dashboard reads its vars. */
function secretProblems(settings: Row): string[] {
  const problems: string[] = [];
  const { cacheKey, cacheMode, status } = settings;
  if (cacheMode === 'encrypted' && (typeof cacheKey !== 'string' || !cacheKey.startsWith('{vault://'))) {
    problems.push("SETTINGS.cacheKey: is to be a reference to a secret ('{vault://env/cache-key}'), not the key");
  }
  if (isRecord(status) && typeof status.path === 'string' && !/^(?:\/[\w.~-]+)+$/.test(status.path)) {
    problems.push(`SETTINGS.status.path: '${status.path}' is no path such as '/-/holdfast'`);
  }
  return problems;
}
