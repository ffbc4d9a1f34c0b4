/** What plugins are for, by group: the order in which somebody who has none looks for one. */
export interface PluginWords {
  readonly group: string;
  readonly text: string;
}

const GROUPS: readonly (readonly [group: string, plugins: Readonly<Record<string, string>>])[] = [
  [
    'Who may call',
    {
      'key-auth': 'Lets in who shows an API key.',
      'basic-auth': 'Lets in who shows a user name and a password.',
      jwt: 'Lets in who shows a signed JSON Web Token.',
      'hmac-auth': 'Lets in whose requests are signed with a shared secret.',
      oauth2: 'Issues OAuth 2.0 tokens and asks for them.',
      'ldap-auth': 'Checks user name and password with an LDAP server.',
      session: 'Keeps who has logged in known by a cookie.',
      acl: 'Lets in consumers by the ACL groups they are in.',
      'ip-restriction': 'Lets in, or keeps out, by the client’s address.',
      'bot-detection': 'Keeps out clients by what their User-Agent says.',
      acme: 'Gets certificates from Let’s Encrypt or another ACME CA.',
    },
  ],
  [
    'How much, and for whom',
    {
      'rate-limiting': 'Limits requests by second, minute, hour and longer.',
      'response-ratelimiting': 'Limits by numbers that the API itself says in its answers.',
      'request-size-limiting': 'Refuses requests whose body is too long.',
      'request-termination': 'Answers every request with a fixed status and body.',
      'proxy-cache': 'Answers again what was answered before, without asking the API.',
      cors: 'Lets pages of other sites call the API from a browser.',
    },
  ],
  [
    'Change requests and answers',
    {
      'request-transformer': 'Adds, changes or removes headers, query arguments and body fields of requests.',
      'response-transformer': 'Adds, changes or removes headers and body fields of answers.',
      'correlation-id': 'Gives each request an ID that API and logs see.',
      redirect: 'Sends clients to another address.',
      'grpc-gateway': 'Lets clients call a gRPC API by JSON over HTTP.',
      'grpc-web': 'Lets browsers call a gRPC API.',
      'standard-webhooks': 'Checks that webhooks are signed as Standard Webhooks says.',
      'pre-function': 'Runs Lua of yours before other plugins.',
      'post-function': 'Runs Lua of yours after other plugins.',
    },
  ],
  [
    'See what happens',
    {
      prometheus: 'Counts requests for Prometheus.',
      opentelemetry: 'Sends traces to an OpenTelemetry collector.',
      zipkin: 'Sends traces to Zipkin.',
      'http-log': 'Sends a line for each request to an HTTP server.',
      'file-log': 'Writes a line for each request to a file.',
      'tcp-log': 'Sends a line for each request over TCP.',
      'udp-log': 'Sends a line for each request over UDP.',
      syslog: 'Sends a line for each request to syslog.',
      loggly: 'Sends a line for each request to Loggly.',
      datadog: 'Sends numbers to Datadog.',
      statsd: 'Sends numbers to StatsD.',
    },
  ],
  [
    'Models',
    {
      'ai-proxy': 'Speaks to models of several makers in one way.',
      'ai-prompt-decorator': 'Puts messages before or after what clients ask a model.',
      'ai-prompt-guard': 'Lets prompts through, or not, by patterns.',
      'ai-prompt-template': 'Fills what clients give into prompts of yours.',
      'ai-request-transformer': 'Has a model rewrite requests.',
      'ai-response-transformer': 'Has a model rewrite answers.',
    },
  ],
  [
    'Functions',
    {
      'aws-lambda': 'Answers with what an AWS Lambda function gives.',
      'azure-functions': 'Answers with what an Azure function gives.',
    },
  ],
];

const WORDS = new Map<string, PluginWords>(
  GROUPS.flatMap(([group, plugins]) => Object.entries(plugins).map(([name, text]) => [name, { group, text }] as const)),
);

/** Of a plugin that did not come with the gateway. */
const OWN: PluginWords = { group: 'Your own', text: 'A plugin of your own.' };

export const wordsOf = (plugin: string): PluginWords => WORDS.get(plugin) ?? OWN;

/** Plugins by group, in the order of the groups; those that fit what is looked for. */
export function groupedPlugins(
  names: readonly string[],
  looked: string,
): readonly (readonly [group: string, names: readonly string[]])[] {
  const words = looked.toLowerCase().trim();
  const fitting = names.filter((name) =>
    `${name} ${wordsOf(name).text} ${wordsOf(name).group}`.toLowerCase().includes(words),
  );
  const order = [...GROUPS.map(([group]) => group), OWN.group];
  return order.flatMap((group) => {
    const members = fitting.filter((name) => wordsOf(name).group === group);
    return members.length === 0 ? [] : [[group, members] as const];
  });
}
