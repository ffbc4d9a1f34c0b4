import type { PluginSchema } from '../schema/vocabulary.ts';
import { correlationId } from './correlation-id.ts';
import { keyAuth } from './key-auth.ts';

const all: readonly PluginSchema[] = [correlationId, keyAuth];

/** Every plugin the control plane knows, by name. */
export const plugins: ReadonlyMap<string, PluginSchema> = new Map(all.map((plugin) => [plugin.name, plugin]));
