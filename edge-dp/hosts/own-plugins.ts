import { existsSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Message } from 'esbuild';
import { isRecord, type Row } from '../../shared/record.ts';
import type { PluginSchema } from '../../shared/schema/vocabulary.ts';
import { messageOf } from '../../shared/thrown.ts';
import { WORKER_ENTRY } from './bundle-worker.ts';
import { moduleFile } from './module-file.ts';
import { kits } from './plugin-kits.ts';

/** A plugin in TypeScript from outside of this project: a folder with `schema.ts` and `handler.ts` (or `.js`). */
export interface OwnPlugin {
  readonly schema: PluginSchema;
  /** Path of the handler's file. */
  readonly handler: string;
}

/** Which plugins a Worker has: those of this project that are named (null: all), and the operator's own. */
export interface PluginChoice {
  readonly bundled: readonly string[] | null;
  readonly own: readonly { readonly name: string; readonly handler: string }[];
}

/** A plugin that cannot be used; the message says which, where and why. */
export class OwnPluginError extends Error {
  override readonly name = 'OwnPluginError';
}

/** Reads the plugins of these names from their folders, and looks whether both halves fit. Throws `OwnPluginError`. */
export async function loadOwnPlugins(names: readonly string[], folder: string): Promise<readonly OwnPlugin[]> {
  const loaded: OwnPlugin[] = [];
  for (const name of names) loaded.push(await loadOwnPlugin(name, resolve(folder, name)));
  return loaded;
}

async function loadOwnPlugin(name: string, folder: string): Promise<OwnPlugin> {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new OwnPluginError(`plugins: '${name}' is no bundled plugin, and there is no folder ${folder}`);
  }
  const file = half(name, folder, 'handler');
  const schema = await defaultExport(name, half(name, folder, 'schema'));
  const handler = await defaultExport(name, file);
  if (!isSchema(schema)) {
    throw new OwnPluginError(
      `plugins: '${name}': the default export of ${folder}/schema is no plugin's schema: a name, version, priority, phases and ` +
        'fields with a record config are expected, as definePlugin takes them',
    );
  }
  const { compile } = handler;
  if (typeof compile !== 'function') {
    throw new OwnPluginError(`plugins: '${name}': the default export of ${file} has no function 'compile'`);
  }
  for (const [where, found] of [
    [`${folder}/schema`, schema.name],
    [file, handler.name],
  ]) {
    if (found !== name) {
      throw new OwnPluginError(`plugins: '${name}': ${where} is of a plugin named '${String(found)}'`);
    }
  }
  for (const field of ['version', 'priority'] as const) {
    if (schema[field] === handler[field]) continue;
    throw new OwnPluginError(
      `plugins: '${name}': its schema has ${field} ${schema[field]}, its handler ${String(handler[field])}`,
    );
  }
  return { schema, handler: file };
}

function half(name: string, folder: string, part: 'schema' | 'handler'): string {
  const file = ['ts', 'js'].map((ending) => join(folder, `${part}.${ending}`)).find((path) => existsSync(path));
  if (file === undefined) throw new OwnPluginError(`plugins: '${name}': there is no ${part}.ts in ${folder}`);
  return file;
}

/** The default export of a file, bundled and run here. */
async function defaultExport(name: string, file: string): Promise<Readonly<Row>> {
  // Seldom wanted: most have no plugins of their own.
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [file],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    target: 'es2024',
    mainFields: ['module', 'main'],
    conditions: ['workerd', 'worker', 'import'],
    external: ['cloudflare:*', 'node:*'],
    sourcemap: 'inline',
    logLevel: 'silent',
    plugins: [kits],
  }).catch((error: unknown) => {
    throw new OwnPluginError(`plugins: '${name}' cannot be bundled: ${bundleFailure(error)}`);
  });
  const [output] = outputFiles;
  if (output === undefined) throw new OwnPluginError(`plugins: '${name}': esbuild made nothing of ${file}`);
  const url = `data:text/javascript;base64,${Buffer.from(output.contents).toString('base64')}`;
  const module: unknown = await import(/* @vite-ignore */ url).catch((error: unknown) => {
    throw new OwnPluginError(`plugins: '${name}': ${file} fails when it is loaded: ${messageOf(error)}`);
  });
  const given = isRecord(module) ? module.default : undefined;
  if (isRecord(given)) return given;
  throw new OwnPluginError(`plugins: '${name}': ${file} has no default export`);
}

function isSchema(value: Readonly<Row>): value is Readonly<Row> & PluginSchema {
  const { version, priority, phases, fields } = value;
  const config = isRecord(fields) ? fields.config : undefined;
  return (
    typeof version === 'string' &&
    typeof priority === 'number' &&
    Array.isArray(phases) &&
    isRecord(config) &&
    config.type === 'record'
  );
}

function bundleFailure(error: unknown): string {
  const errors: readonly Message[] =
    error instanceof Error && 'errors' in error && Array.isArray(error.errors) ? error.errors : [];
  const [first] = errors;
  if (first === undefined) return messageOf(error);
  const { location, text } = first;
  return location === null ? text : `${resolve(location.file)}:${location.line}:${location.column}: ${text}`;
}

/**
 * The main module of a Worker that has these plugins, written into `folder` where it is not the project's own, `main`: the usual one, or
 * one that exports the same.
 */
export async function workerEntry(
  choice: PluginChoice | undefined,
  folder: string,
  main = WORKER_ENTRY,
): Promise<string> {
  if (choice === undefined || (choice.bundled === null && choice.own.length === 0)) return main;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const registry = moduleFile('../plugins/registry', import.meta.url);
  // Modules run in the order of their imports: the choice is made before the Worker asks for it.
  const chosen = join(folder, 'plugins.ts');
  await writeFile(
    chosen,
    [
      `import { choosePlugins } from ${JSON.stringify(registry)};`,
      ...choice.own.map(({ handler }, n) => `import own${n} from ${JSON.stringify(handler)};`),
      `choosePlugins(${JSON.stringify(choice.bundled)}, [${choice.own.map((_, n) => `own${n}`).join(', ')}]);`,
      '',
    ].join('\n'),
  );
  const entry = join(folder, 'worker.ts');
  await writeFile(
    entry,
    [
      `import ${JSON.stringify(chosen)};`,
      `export { default } from ${JSON.stringify(main)};`,
      `export * from ${JSON.stringify(main)};`,
      '',
    ].join('\n'),
  );
  return entry;
}
