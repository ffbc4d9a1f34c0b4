import { expect } from 'vitest';
import type { Step } from './form-filler.ts';

/** Plugins whose settings are of different shapes: numbers, lists, records in records, maps of records, lists of records, sources. */
export const PLUGINS: readonly (readonly [
  name: string,
  create: readonly Step[],
  edit: readonly Step[],
  stored: object,
])[] = [
  [
    'rate-limiting',
    [
      ['type', 'Minute', '5'],
      ['choose', 'Limit by', 'ip'],
      ['turn', 'Hide client headers'],
    ],
    [
      ['type', 'Hour', '50'],
      ['type', 'Minute', ''],
    ],
    { minute: null, hour: 50, limit_by: 'ip', hide_client_headers: true },
  ],
  [
    'cors',
    [
      ['words', 'Origins', 'https://app.test'],
      ['choose', 'Methods', 'CONNECT'],
      ['turn', 'Credentials'],
    ],
    [
      ['type', 'Max age', '60'],
      ['words', 'Exposed headers', 'x-a', 'x-b'],
    ],
    {
      origins: ['https://app.test'],
      methods: expect.not.arrayContaining(['CONNECT']),
      credentials: true,
      max_age: 60,
      exposed_headers: ['x-a', 'x-b'],
    },
  ],
  [
    'request-transformer',
    [
      ['press', '3 settings of add'],
      ['words', 'Headers', 'x-from:manager'],
    ],
    [['type', 'HTTP method', 'PUT']],
    { add: { headers: ['x-from:manager'], querystring: [] }, http_method: 'PUT' },
  ],
  [
    'response-ratelimiting',
    [
      ['press', 'Add to limits'],
      ['type', 'Limits: name 1', 'video'],
      ['type', 'Minute', '10'],
    ],
    [['type', 'Minute', '11']],
    { limits: { video: { minute: 11, hour: null } } },
  ],
  [
    'ai-prompt-template',
    [
      ['press', 'Add to templates'],
      ['type', 'Name', 'greet'],
      ['type', 'Template', '{"messages":[]}'],
    ],
    [
      ['press', 'Add to templates'],
      ['press', 'Remove Templates 1'],
      ['type', 'Name', 'bye'],
      ['type', 'Template', '{"messages":[1]}'],
    ],
    { templates: [{ name: 'bye' }] },
  ],
  [
    'pre-function',
    [
      ['press', 'Add to access'],
      ['type', 'Access 1', 'kong.log("a")'],
    ],
    [['type', 'Access 1', 'return']],
    { access: ['return'] },
  ],
  [
    'http-log',
    [
      ['type', 'HTTP endpoint', 'http://log.test/'],
      ['press', 'Add to headers'],
      ['type', 'Headers: name 1', 'x-key'],
      ['type', 'Headers: value 1', 'v'],
    ],
    [['choose', 'Method', 'PUT']],
    { http_endpoint: 'http://log.test/', headers: { 'x-key': 'v' }, method: 'PUT' },
  ],
];

/** A page, what is typed there, and what is then told at the field it is about, by the words of the Admin API. */
export const REFUSED: readonly (readonly [
  kind: string,
  page: string,
  steps: readonly Step[],
  label: string,
  told: RegExp,
])[] = [
  [
    'a text',
    '/config/services/new',
    [
      ['type', 'Host', 'h'],
      ['type', 'Path', 'x'],
    ],
    'Path',
    /^should start with: \/$/,
  ],
  [
    'a number',
    '/config/services/new',
    [
      ['type', 'Host', 'h'],
      ['type', 'Port', '70000'],
    ],
    'Port',
    /between 0 and 65535/,
  ],
  ['a word of a list', '/config/routes/new', [['words', 'Paths', '/a', 'b']], 'Paths', /^2: should start with/],
  ['a reference', '/config/snis/new', [['type', 'Name', 'a.test']], 'Certificate', /^required field missing$/],
  ['a text of several lines', '/config/ca_certificates/new', [['type', 'Cert', 'no']], 'Cert', /^invalid certificate/],
  ['a secret', '/config/key-auths/new', [['type', 'Key', '']], 'Consumer', /^required field missing$/],
  [
    'a choice',
    '/config/services/new',
    [['type', 'Host', 'h'], ['more'], ['choose', 'TLS verify', 'true']],
    'TLS verify',
    /^value must be null$/,
  ],
  [
    'a number that must be',
    '/config/upstreams/new',
    [['type', 'Name', 'u'], ['more'], ['type', 'Slots', '1']],
    'Slots',
    /between 10 and 65536/,
  ],
  [
    'a text within a record',
    '/config/upstreams/new',
    [
      ['type', 'Name', 'u'],
      ['more'],
      ['press', '3 settings of healthchecks'],
      ['press', '9 settings of active'],
      ['type', 'HTTP path', 'x'],
    ],
    'HTTP path',
    /^should start with: \/$/,
  ],
  [
    'a setting of a plugin',
    '/config/plugins/new?plugin=key-auth',
    [['words', 'Key names', 'a b']],
    'Key names',
    /^2: bad header name 'a b'/,
  ],
  [
    'a text of a list of texts',
    '/config/plugins/new?plugin=pre-function',
    [
      ['press', 'Add to access'],
      ['type', 'Access 1', 'x ='],
    ],
    'Access 1',
    /error parsing pre-function/,
  ],
  [
    'a text of a record in a list',
    '/config/plugins/new?plugin=ai-prompt-decorator',
    [
      ['press', 'Set prompts'],
      ['press', 'Add to prepend'],
      ['type', 'Content', 'x'.repeat(501)],
    ],
    'Content',
    /length must be at most 500/,
  ],
  [
    'a number of a record in a map',
    '/config/plugins/new?plugin=response-ratelimiting',
    [
      ['press', 'Add to limits'],
      ['type', 'Limits: name 1', 'a'],
      ['type', 'Minute', '-1'],
    ],
    'Minute',
    /^value must be greater than 0$/,
  ],
];
