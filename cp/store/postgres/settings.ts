import type { ClientConfig } from 'pg';

/** A PostgreSQL server, in the words of the settings. Timeouts in milliseconds. */
export interface PostgresSettings {
  readonly pg_host: string;
  readonly pg_port: number;
  readonly pg_user: string;
  readonly pg_password: string | null;
  readonly pg_database: string;
  readonly pg_schema: string;
  readonly pg_ssl: boolean;
  readonly pg_ssl_verify: boolean;
  /** PEM text of the authorities to trust instead of Node's own. */
  readonly pg_ssl_ca_cert: string | null;
  /** For connecting, and for any one statement outside migrations. */
  readonly pg_timeout: number;
  /** Connections at most, beside the one that listens. */
  readonly pg_pool_size: number;
}

/** Milliseconds. */
const KEEP_ALIVE = 30_000;

/** How to connect, in the words of `pg`. */
export function clientConfig(settings: PostgresSettings): ClientConfig {
  return {
    host: settings.pg_host,
    port: settings.pg_port,
    user: settings.pg_user,
    database: settings.pg_database,
    application_name: 'holdfast',
    connectionTimeoutMillis: settings.pg_timeout,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE,
    ...(settings.pg_password === null ? {} : { password: settings.pg_password }),
    ...(settings.pg_ssl
      ? {
          ssl: {
            rejectUnauthorized: settings.pg_ssl_verify,
            ...(settings.pg_ssl_ca_cert === null ? {} : { ca: settings.pg_ssl_ca_cert }),
          },
        }
      : {}),
  };
}
