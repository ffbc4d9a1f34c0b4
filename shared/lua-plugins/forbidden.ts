/** What Lua of a plugin asks for that no data plane can have, looked for in its source so that it is told when it is sent. */

/** Names, or what they begin with, and why not. */
const GLOBALS: readonly (readonly [name: RegExp, reason: string])[] = [
  [/^io\.(\w+)/, 'there are no files'],
  [/^(?:dofile|loadfile)\b/, 'there are no files'],
  [/^os\.(?:execute|exit|getenv|remove|rename|setlocale|tmpname)\b/, 'there is no operating system'],
  [/^debug\.(?!traceback\b)\w+/, 'only debug.traceback is there'],
  [/^package\.\w+/, 'modules come with the plugin'],
  [/^kong\.(?:db\b(?!\.ca_certificates\b)|dao\b)/, 'data planes have no database'],
  [/^kong\.(?:worker_events|cluster_events|rpc)\b/, 'plugins have no events of the node'],
  [/^kong\.websocket\b/, 'WebSocket frames do not pass through plugins'],
  [/^ngx\.timer\.every\b/, 'nothing goes on without a request'],
  [/^ngx\.location\b/, 'there are no locations'],
  [/^ngx\.(?:pipe|socket|semaphore|thread)\b/, 'it is not offered: resty.http sends requests'],
];

const MODULES: readonly (readonly [name: RegExp, reason: string])[] = [
  [/^ffi$|^jit(?:\.|$)/, 'there is no machine code'],
  [/^kong\.plugins\.base_plugin$/, 'Kong has none since 3.0: a handler is a table of functions'],
  [/^(?:socket|socket\.(?:http|tcp)|ssl|ssl\.https|ltn12|http\.request)$/, 'they block: resty.http sends requests'],
  [/^(?:io|lfs|posix|ngx\.pipe|resty\.shell)(?:\.|$)/, 'there are no files and no processes'],
  [/^kong\.(?:db|dao|singletons|cache|runloop|api|clustering|cluster_events|worker_events)(?:\.|$)/, 'data planes have no database and none of its parts'],
  [/\.(?:daos|dao)$/, 'plugins bring no entities of their own'],
  [/^(?:resty\.worker\.events|ngx\.process|ngx\.semaphore|ngx\.timer)(?:\.|$)/, 'there are no worker processes'],
]; // biome-ignore format: a line each

/** Parts of a plugin in Kong's tree that cannot be sent. */
const PARTS: ReadonlyMap<string, string> = new Map([
  ['api', 'plugins bring no paths of the Admin API'],
  ['daos', 'plugins bring no entities of their own'],
  ['migrations', 'plugins bring no entities of their own'],
]);

/** Why a module of this name cannot come with the plugin, or nothing. */
export function forbiddenPart(plugin: string, module: string): string | undefined {
  const prefix = `kong.plugins.${plugin}.`;
  const part = module.startsWith(prefix) ? module.slice(prefix.length) : '';
  const [first = ''] = part.split('.');
  const reason = PARTS.get(first);
  return reason === undefined ? undefined : `'${module}' cannot be sent: ${reason}`;
}

/** The first thing in a source that cannot be had, with its line and why; or nothing. `schema`: kong.db.schema is there. */
export function forbidden(source: string, { schema }: { readonly schema: boolean }): string | undefined {
  const own = new Set(
    [...source.matchAll(/\blocal\s+(?:function\s+)?([\w \t,]+)/g)].flatMap(([, names = '']) => names.split(/[\s,]+/)),
  );
  let required = false;
  for (const { index, 0: token, groups = {} } of source.matchAll(TOKEN)) {
    const { name, text } = groups;
    const at = () => `line ${source.slice(0, index).split('\n').length}`;
    if (text !== undefined && required) {
      const module = text.replace(/^\[=*\[|\]=*\]$|^["']|["']$/g, '');
      const reason = MODULES.find(([pattern]) => pattern.test(module))?.[1];
      const allowed = schema && /^kong\.db\.schema\.(?:typedefs|entity|metaschema)$/.test(module);
      if (reason !== undefined && !allowed)
        return `${at()}: module '${module}' cannot be had on data planes: ${reason}`;
    }
    if (name === undefined) {
      if (token !== '(') required = false;
      continue;
    }
    required = name === 'require';
    const [root = ''] = name.split('.');
    if (own.has(root) || source[index - 1] === '.' || source[index - 1] === ':') continue;
    const reason = GLOBALS.find(([pattern]) => pattern.test(name))?.[1];
    if (reason !== undefined) return `${at()}: ${name} cannot be had on data planes: ${reason}`;
  }
  return undefined;
}

/** Names with their fields, texts, those that never end as a whole, and all else that is no blank; comments are passed over. */
const TOKEN = new RegExp(
  [
    String.raw`--\[(?<c>=*)\[[\s\S]*?(?:\]\k<c>\]|$)`,
    String.raw`--[^\n]*`,
    String.raw`(?<text>\[(?<l>=*)\[[\s\S]*?(?:\]\k<l>\]|$)|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*')`,
    String.raw`"(?:\\[\s\S]|[^"\\\n])*|'(?:\\[\s\S]|[^'\\\n])*`,
    String.raw`(?<name>[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)`,
    String.raw`\S`,
  ].join('|'),
  'g',
);
