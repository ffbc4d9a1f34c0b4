import { createHash, createHmac } from 'node:crypto';
import type { Row } from '../../shared/record.ts';
import { type Authorize, storageOver } from './http-storage.ts';
import { FallbackFault, type FallbackStorage } from './storage.ts';

/** What `cluster_fallback_export_s3_config` may say of objects, by the names of S3's PutObject, and its headers. */
const PUT_HEADERS: Readonly<Record<string, string>> = {
  ACL: 'x-amz-acl',
  ServerSideEncryption: 'x-amz-server-side-encryption',
  SSEKMSKeyId: 'x-amz-server-side-encryption-aws-kms-key-id',
  BucketKeyEnabled: 'x-amz-server-side-encryption-bucket-key-enabled',
  StorageClass: 'x-amz-storage-class',
};

/**
 * A bucket of S3, or of what speaks as S3 does (`AWS_CONFIG_STORAGE_ENDPOINT`: R2, MinIO, Google's), by the environment's
 * AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION. Throws `FallbackFault`.
 */
export function s3Storage(location: URL, config: Readonly<Row>, environment: NodeJS.ProcessEnv): FallbackStorage {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } = environment;
  if (!id || !secret)
    throw new FallbackFault("'s3://' needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment");
  const endpoint = environment.AWS_CONFIG_STORAGE_ENDPOINT || environment.AWS_ENDPOINT_URL_S3;
  const region = environment.AWS_REGION || environment.AWS_DEFAULT_REGION || 'us-east-1';
  const bucket = location.hostname;
  const own = endpoint ? URL.parse(endpoint) : null;
  if (endpoint && own === null) throw new FallbackFault('AWS_CONFIG_STORAGE_ENDPOINT: expected a URL');
  const base =
    own === null
      ? `https://${bucket}.s3.${region}.amazonaws.com`
      : `${own.origin}${own.pathname.replace(/\/$/, '')}/${bucket}`;
  const prefix = location.pathname
    .replaceAll(/^\/+|\/+$/g, '')
    .split('/')
    .map(encoded)
    .join('/');
  const added = putHeaders(config);
  return storageOver(
    (name) => new URL(`${base}/${prefix === '' ? '' : `${prefix}/`}${name}`),
    (request) => signed(request, { id, secret, token: token ?? null, region }, request.method === 'PUT' ? added : {}),
  );
}

/** Part of a path as S3 encodes it before it looks at the signature: URLs leave more as it is (`=`, `+`, `(` …). Throws `FallbackFault`. */
function encoded(part: string): string {
  try {
    return encodeURIComponent(decodeURIComponent(part)).replaceAll(
      /[!'()*]/g,
      (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  } catch {
    throw new FallbackFault(`'${part}' is no part of a URL: a % that encodes nothing is written %25`);
  }
}

function putHeaders(config: Readonly<Row>): Readonly<Record<string, string>> {
  const unknown = Object.keys(config).find((name) => !Object.hasOwn(PUT_HEADERS, name));
  if (unknown !== undefined) {
    throw new FallbackFault(
      `'${unknown}' of cluster_fallback_export_s3_config is not taken; allowed: ${Object.keys(PUT_HEADERS).join(', ')}`,
    );
  }
  return Object.fromEntries(Object.entries(config).map(([name, value]) => [PUT_HEADERS[name] ?? name, String(value)]));
}

interface Credentials {
  readonly id: string;
  readonly secret: string;
  readonly token: string | null;
  readonly region: string;
}

/** AWS Signature Version 4 of S3, where the path is encoded once and the body's digest is a header. */
function signed(
  { method, url, body }: Parameters<Authorize>[0],
  { id, secret, token, region }: Credentials,
  added: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
  const digest = createHash('sha256')
    .update(body ?? '')
    .digest('hex');
  const sent: Record<string, string> = {
    ...added,
    'x-amz-content-sha256': digest,
    'x-amz-date': stamp,
    ...(token !== null && { 'x-amz-security-token': token }),
  };
  const all = Object.entries({ ...sent, host: url.host }).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const names = all.map(([name]) => name).join(';');
  const canonical = [method, url.pathname, '', ...all.map(([name, value]) => `${name}:${value}`), '', names, digest];
  const scope = [stamp.slice(0, 8), region, 's3', 'aws4_request'];
  const text = [
    'AWS4-HMAC-SHA256',
    stamp,
    scope.join('/'),
    createHash('sha256').update(canonical.join('\n')).digest('hex'),
  ].join('\n');
  const key = scope.reduce<Buffer | string>((from, part) => hmac(from, part), `AWS4${secret}`);
  const signature = hmac(key, text).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${id}/${scope.join('/')}, SignedHeaders=${names}, Signature=${signature}`;
  return { ...sent, authorization };
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
