import { type Row, recordOrEmpty } from '../../../../shared/record.ts';
import { referredId } from './kinds.ts';
import { quoted } from './text-forms.ts';

/** How something is called, and what of it nobody but the caller knows. */
export interface Call {
  readonly command: string;
  /** Null: nothing. */
  readonly needs: { readonly word: string; readonly what: string } | null;
}

/** A route called by its first method, host and path, as who the plugins that are for it let in. */
export function callOf(route: Readonly<Row>, plugins: readonly Readonly<Row>[], proxy: string): Call {
  const [method, host, given] = [first(route.methods), first(route.hosts), first(route.paths)];
  const path = given === null || given.startsWith('~') ? '/' : given;
  const way = plugins.flatMap((plugin) => (isFor(plugin, route) ? (wayIn(plugin) ?? []) : []))[0] ?? null;
  const words = [
    'curl -i',
    ...(method === null || method === 'GET' ? [] : [`-X ${method}`]),
    ...(host === null ? [] : [`-H ${quoted(`host: ${host}`)}`]),
    ...(way?.words ?? []),
    quoted(`${proxy}${path}${way?.query ?? ''}`),
  ];
  return { command: words.join(' '), needs: way === null ? null : way.needs };
}

/** Whether a plugin meets every request of a route. */
function isFor(plugin: Readonly<Row>, route: Readonly<Row>): boolean {
  if (plugin.enabled === false || plugin.consumer != null || plugin.consumer_group != null) return false;
  const [ofRoute, ofService] = [referredId(plugin.route), referredId(plugin.service)];
  return (ofRoute === null || ofRoute === route.id) && (ofService === null || ofService === referredId(route.service));
}

interface WayIn {
  readonly words: readonly string[];
  readonly query: string;
  readonly needs: NonNullable<Call['needs']>;
}

function wayIn({ name, config }: Readonly<Row>): WayIn | null {
  if (name === 'basic-auth') {
    const needs = { word: '<username>:<password>', what: 'a username with its password' };
    return { words: [`-u ${quoted(needs.word)}`], query: '', needs };
  }
  if (name !== 'key-auth') return null;
  const { key_names: names, key_in_header: inHeader, key_in_query: inQuery } = recordOrEmpty(config);
  const header = first(names) ?? 'apikey';
  const needs = { word: '<key>', what: 'an API key' };
  if (inHeader !== false) return { words: [`-H ${quoted(`${header}: <key>`)}`], query: '', needs };
  return inQuery === false ? null : { words: [], query: `?${header}=<key>`, needs };
}

const first = (value: unknown): string | null =>
  Array.isArray(value) && typeof value[0] === 'string' ? value[0] : null;
