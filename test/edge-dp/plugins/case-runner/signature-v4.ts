import { createHash, createHmac } from 'node:crypto';
import type { ExpectedRequest } from './case.ts';
import type { ReceivedRequest } from './upstream.ts';

/** Why a request's AWS signature (version 4, in Authorization) is not right; undefined when it is. */
export function signatureProblem(
  { key, secret, region, service }: NonNullable<ExpectedRequest['sigv4']>,
  { method, target, headers, body }: ReceivedRequest,
): string | undefined {
  const authorization = headers.authorization ?? '';
  const parts = /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
    authorization,
  );
  if (parts === null) return `no signature: '${authorization}'`;
  const [, credential = '', signed = '', given] = parts;
  const time = headers['x-amz-date'] ?? '';
  const scope = `${time.slice(0, 8)}/${region}/${service}/aws4_request`;
  if (credential !== `${key}/${scope}`) return `made with '${credential}', expected '${key}/${scope}'`;
  const names = signed.split(';');
  if (!names.includes('host')) return `does not cover Host, only ${signed}`;
  const [path = '', query = ''] = target.split('?');
  const request = [
    method,
    path.split('/').map(escaped).join('/'),
    query.split('&').sort().join('&'),
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replaceAll(/ +/g, ' ')}`),
    '',
    signed,
    sha256(body),
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(request)].join('\n');
  const signingKey = scope.split('/').reduce<string | Buffer>((so, part) => hmac(so, part), `AWS4${secret}`);
  const right = hmac(signingKey, text).toString('hex');
  return right === given ? undefined : `${given}, expected ${right}`;
}

/** A segment of the path as sent is escaped once more (all services but S3). */
function escaped(segment: string): string {
  return encodeURIComponent(segment).replaceAll(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
