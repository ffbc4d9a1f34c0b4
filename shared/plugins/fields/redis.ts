import { need } from '../../cluster/need.ts';
import { isRecord, type Row } from '../../record.ts';
import { host, port, sni, timeout } from '../../schema/kinds.ts';
import { defineField, type EntityCheck, type ShorthandField } from '../../schema/vocabulary.ts';
import { renamed } from './renamed.ts';

/** Where a Redis server is. */
export const redis = defineField({
  type: 'record',
  description: 'Where Redis is, for what is kept there.',
  required: true,
  fields: {
    host: { ...host, description: 'Host name or address of Redis.' },
    port: { ...port, default: 6379, description: 'Where it listens.' },
    timeout: { ...timeout, default: 2000, description: 'Milliseconds to connect, to send and to wait for an answer.' },
    username: { type: 'string', referenceable: true, description: 'The user to log in as. Not set: the default user.' },
    password: {
      type: 'string',
      encrypted: true,
      referenceable: true,
      len_min: 0,
      description: 'The password to log in with.',
    },
    database: { type: 'integer', default: 0, description: 'Number of the database.' },
    ssl: { type: 'boolean', required: false, default: false, description: 'Spoken to over TLS.' },
    ssl_verify: {
      type: 'boolean',
      required: false,
      default: false,
      description: 'Whether the certificate of Redis is checked.',
    },
    server_name: {
      ...sni,
      required: false,
      description: 'Server name of the TLS handshake, and the name its certificate must be for.',
    },
  },
});

/** The names these fields had before they moved into `redis`. */
export const redisFormerNames: readonly ShorthandField[] = [
  renamed('redis_host', ['redis', 'host'], { type: 'string' }),
  renamed('redis_port', ['redis', 'port'], { type: 'integer' }),
  renamed('redis_password', ['redis', 'password'], { type: 'string', len_min: 0 }),
  renamed('redis_username', ['redis', 'username'], { type: 'string' }),
  renamed('redis_ssl', ['redis', 'ssl'], { type: 'boolean' }),
  renamed('redis_ssl_verify', ['redis', 'ssl_verify'], { type: 'boolean' }),
  renamed('redis_server_name', ['redis', 'server_name'], { type: 'string' }),
  renamed('redis_timeout', ['redis', 'timeout'], { type: 'integer' }),
  renamed('redis_database', ['redis', 'database'], { type: 'integer' }),
];

/** With the policy `redis` the server must be named. */
export const redisChecks: readonly EntityCheck[] = ['host', 'port', 'timeout'].map((field) => ({
  conditional: {
    if_field: 'config.policy',
    if_match: { eq: 'redis' },
    then_field: `config.redis.${field}`,
    then_match: { required: true },
  },
}));

/** What a server that is counted in asks of the data plane. */
export function* redisNeeds({ policy, redis }: Readonly<Row>) {
  if (policy !== 'redis' || !isRecord(redis) || redis.ssl !== true || redis.ssl_verify === true) return;
  yield need('tls_unverified', 'config.redis.ssl_verify', redis.ssl_verify ?? false);
}
