/** AWS Signature Version 4 of requests whose body is at hand. */

export interface SignedRequest {
  readonly method: string;
  readonly host: string;
  /** As it goes on the wire. */
  readonly path: string;
  readonly query: string;
  readonly body: Uint8Array;
}

export interface SigningKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | null;
  readonly region: string;
  readonly service: string;
}

/** The headers that a signature adds; `now`: milliseconds since the epoch. */
export async function signatureHeaders(
  request: SignedRequest,
  key: SigningKey,
  now: number,
): Promise<Readonly<Record<string, string>>> {
  const stamp = `${new Date(now).toISOString().replace(/[-:]|\.\d{3}/g, '')}`;
  const day = stamp.slice(0, 8);
  const signed: [string, string][] = [
    ['host', request.host],
    ['x-amz-date', stamp],
    ...(key.sessionToken === null ? [] : [['x-amz-security-token', key.sessionToken] as [string, string]]),
  ];
  const names = signed.map(([name]) => name).join(';');
  const canonical = [
    request.method,
    // Each segment is encoded once more, for all services but S3.
    request.path.split('/').map(encodedSegment).join('/'),
    sorted(request.query),
    ...signed.map(([name, value]) => `${name}:${value}`),
    '',
    names,
    hex(await crypto.subtle.digest('SHA-256', request.body.slice())),
  ].join('\n');
  const scope = `${day}/${key.region}/${key.service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', stamp, scope, hex(await crypto.subtle.digest('SHA-256', UTF8.encode(canonical)))];
  let secret: ArrayBuffer | Uint8Array = UTF8.encode(`AWS4${key.secretAccessKey}`);
  for (const part of [day, key.region, key.service, 'aws4_request']) secret = await hmac(secret, part);
  const signature = hex(await hmac(secret, text.join('\n')));
  return {
    Authorization: `AWS4-HMAC-SHA256 Credential=${key.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
    'X-Amz-Date': stamp,
    ...(key.sessionToken !== null && { 'X-Amz-Security-Token': key.sessionToken }),
  };
}

/** By name, then by value: a name comes before what it is the beginning of, whatever follows there (`a=` before `a-b=`). */
function sorted(query: string): string {
  const pairs = query.split('&').map((pair) => {
    const [name = '', ...value] = pair.split('=');
    return { pair, name, value: value.join('=') };
  });
  const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  pairs.sort((a, b) => order(a.name, b.name) || order(a.value, b.value));
  return pairs.map(({ pair }) => pair).join('&');
}

function encodedSegment(segment: string): string {
  return encodeURIComponent(segment).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

async function hmac(secret: ArrayBuffer | Uint8Array, text: string): Promise<ArrayBuffer> {
  const key = await crypto.subtle.importKey('raw', new Uint8Array(secret), { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
  ]);
  return crypto.subtle.sign('HMAC', key, UTF8.encode(text));
}

function hex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const UTF8 = new TextEncoder();
