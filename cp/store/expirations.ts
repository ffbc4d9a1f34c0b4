import type { Database } from './database.ts';

/** A certificate as it is stored. */
export interface StoredCertificate {
  readonly entity: 'certificates' | 'ca_certificates';
  readonly id: string;
  /** Its first server name; null: none, or it is an authority. */
  readonly name: string | null;
  /** Name of the workspace; null: it is of all of them. */
  readonly workspace: string | null;
  /** PEM, or a reference to a vault. */
  readonly certs: readonly string[];
}

/** An API key with an end. */
interface EndingKey {
  readonly id: string;
  /** What its consumer is called. */
  readonly name: string | null;
  readonly workspace: string;
  /** Unix seconds. */
  readonly expires_at: number;
}

/** What of the config is over at some time. */
export interface Expirations {
  /** Certificates there are, `most` at most, those that were written first before others. */
  certificates(most: number): Promise<readonly StoredCertificate[]>;
  /** API keys that end within so many seconds, the first ones first. */
  keys(within: number, most: number): Promise<readonly EndingKey[]>;
}

export function expirations(database: Database): Expirations {
  return {
    async certificates(most) {
      const rows = await database.query(
        `SELECT * FROM (
           SELECT 'certificates' AS entity, c.id, w.name AS workspace, c.cert, c.cert_alt, c.created_at,
             (SELECT name FROM snis WHERE certificate_id = c.id ORDER BY name LIMIT 1) AS name
           FROM certificates c JOIN workspaces w ON w.id = c.ws_id
           UNION ALL SELECT 'ca_certificates', id, NULL, cert, NULL, created_at, NULL FROM ca_certificates) AS every
         ORDER BY created_at, id LIMIT $1::integer`,
        [most],
      );
      return rows.map(({ entity, id, name, workspace, cert, cert_alt }) => ({
        entity: entity === 'certificates' ? entity : 'ca_certificates',
        id: String(id),
        name: typeof name === 'string' ? name : null,
        workspace: typeof workspace === 'string' ? workspace : null,
        certs: [cert, cert_alt].filter((pem) => typeof pem === 'string'),
      }));
    },
    async keys(within, most) {
      const rows = await database.query(
        `SELECT k.id, coalesce(c.username, c.custom_id) AS name, w.name AS workspace,
           extract(epoch FROM k.expires_at)::double precision AS expires_at
         FROM keyauth_credentials k JOIN consumers c ON c.id = k.consumer_id JOIN workspaces w ON w.id = k.ws_id
         WHERE k.expires_at > now() AND k.expires_at < now() + make_interval(secs => $1::double precision)
         ORDER BY k.expires_at, k.id LIMIT $2::integer`,
        [within, most],
      );
      return rows.map(({ id, name, workspace, expires_at }) => ({
        id: String(id),
        name: typeof name === 'string' ? name : null,
        workspace: String(workspace),
        expires_at: Number(expires_at),
      }));
    },
  };
}
