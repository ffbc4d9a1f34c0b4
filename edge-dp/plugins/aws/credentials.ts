import { mustBeRecord } from '../../../shared/record.ts';
import { readBody } from '../../http/read-body.ts';
import type { OutgoingRequest, Services } from '../runtime/services.ts';
import { signatureHeaders } from '../signature-v4.ts';

/** Whose signature a request gets. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | null;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** Throws an error that says where none could be had. */
export type CredentialSource = () => Promise<Credentials>;

/** Milliseconds before their end at which new ones are asked for. */
const MARGIN = 5 * 60_000;
/** Milliseconds for metadata services, which are near, and for STS. */
const METADATA_PATIENCE = 5_000;
const STS_PATIENCE = 10_000;
/** Bytes of their answers. */
const LONGEST = 64 << 10;

/** Of a config. */
export function givenCredentials(accessKeyId: string, secretAccessKey: string): CredentialSource {
  const given = { accessKeyId, secretAccessKey, sessionToken: null, until: Number.POSITIVE_INFINITY };
  return async () => given;
}

/** The same ones until they end soon. Those that have not ended are good while no new ones can be had. */
export function kept(source: CredentialSource, log: Services['log']): CredentialSource {
  let last: Credentials | null = null;
  return async () => {
    const now = Date.now();
    if (last !== null && now < last.until - MARGIN) return last;
    try {
      last = await source();
    } catch (error) {
      if (last === null || now >= last.until) throw error;
      log('warn', `AWS credentials are not renewed: ${String(error)}`);
    }
    return last;
  };
}

/** What an environment variable of the node says; null: nothing. */
export async function variable({ vaults }: Pick<Services, 'vaults'>, name: string): Promise<string | null> {
  const { value } = await vaults.secret(`{vault://env/${name.toLowerCase().replaceAll('_', '-')}}`);
  return value === null || value === '' ? null : value;
}

/** Of the node, in the order of AWS's own tools: environment, container (ECS, EKS), instance (EC2). */
export function nodeCredentials(services: Services, metadata: 'v1' | 'v2'): CredentialSource {
  return async () => {
    const accessKeyId = await variable(services, 'AWS_ACCESS_KEY_ID');
    const secretAccessKey = await variable(services, 'AWS_SECRET_ACCESS_KEY');
    if (accessKeyId !== null && secretAccessKey !== null) {
      const sessionToken = await variable(services, 'AWS_SESSION_TOKEN');
      return { accessKeyId, secretAccessKey, sessionToken, until: Date.now() + 2 * MARGIN };
    }
    if ((await variable(services, 'AWS_WEB_IDENTITY_TOKEN_FILE')) !== null)
      throw new Error(
        'AWS_WEB_IDENTITY_TOKEN_FILE: data planes read no files of others; give them keys, or the role of a container',
      );
    const container = await containerRequest(services);
    if (container !== null) return parsed(await ask(services, container));
    if ((await variable(services, 'AWS_EC2_METADATA_DISABLED'))?.toLowerCase() === 'true')
      throw new Error('no AWS credentials in config or environment, and AWS_EC2_METADATA_DISABLED is set');
    return instanceCredentials(services, metadata);
  };
}

async function containerRequest(services: Services): Promise<OutgoingRequest | null> {
  const relative = await variable(services, 'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI');
  const url =
    relative === null
      ? await variable(services, 'AWS_CONTAINER_CREDENTIALS_FULL_URI')
      : `http://169.254.170.2${relative}`;
  if (url === null) return null;
  const token = await variable(services, 'AWS_CONTAINER_AUTHORIZATION_TOKEN');
  return { url, timeout: METADATA_PATIENCE, ...(token !== null && { headers: { Authorization: token } }) };
}

async function instanceCredentials(services: Services, metadata: 'v1' | 'v2'): Promise<Credentials> {
  const base = (await variable(services, 'AWS_EC2_METADATA_SERVICE_ENDPOINT')) ?? 'http://169.254.169.254';
  const roles = `${base.replace(/\/$/, '')}/latest/meta-data/iam/security-credentials/`;
  const headers: Record<string, string> = {};
  if (metadata === 'v2') {
    headers['X-aws-ec2-metadata-token'] = await ask(services, {
      url: `${base.replace(/\/$/, '')}/latest/api/token`,
      method: 'PUT',
      headers: { 'X-aws-ec2-metadata-token-ttl-seconds': '21600' },
      timeout: METADATA_PATIENCE,
    });
  }
  const [role = ''] = (await ask(services, { url: roles, headers, timeout: METADATA_PATIENCE })).split('\n');
  if (role.trim() === '')
    throw new Error('this instance has no role, and there are no AWS credentials in config or environment');
  return parsed(
    await ask(services, { url: roles + encodeURIComponent(role.trim()), headers, timeout: METADATA_PATIENCE }),
  );
}

/** What metadata services answer. */
function parsed(text: string): Credentials {
  const { AccessKeyId, SecretAccessKey, Token, Expiration } = mustBeRecord(
    JSON.parse(text),
    'the answer about credentials',
  );
  if (typeof AccessKeyId !== 'string' || typeof SecretAccessKey !== 'string')
    throw new Error('the metadata service gave no AWS credentials');
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    sessionToken: typeof Token === 'string' ? Token : null,
    until: endOf(typeof Expiration === 'string' ? Expiration : ''),
  };
}

interface Role {
  readonly arn: string;
  readonly session: string;
  /** Null: that of the region. */
  readonly endpoint: string | null;
}

/** Of a role that others may assume (STS AssumeRole). */
export function assumedRole(
  services: Services,
  base: CredentialSource,
  { arn, session, endpoint }: Role,
  regionOf: () => Promise<string>,
): CredentialSource {
  return async () => {
    const region = await regionOf();
    const url = new URL(endpoint ?? `https://sts.${region}.amazonaws.com/`);
    const form = new URLSearchParams({
      Action: 'AssumeRole',
      RoleArn: arn,
      RoleSessionName: session,
      Version: '2011-06-15',
    }).toString();
    const body = new TextEncoder().encode(form);
    const request = { method: 'POST', host: url.host, path: url.pathname, query: '', body };
    const { accessKeyId, secretAccessKey, sessionToken } = await base();
    const key = { accessKeyId, secretAccessKey, sessionToken, region, service: 'sts' };
    const signed = await signatureHeaders(request, key, Date.now());
    const answer = await ask(services, {
      url: `${url.origin}${url.pathname}`,
      method: 'POST',
      headers: { ...signed, 'Content-Type': 'application/x-www-form-urlencoded' },
      body,
      timeout: STS_PATIENCE,
    });
    const element = (name: string): string | null => new RegExp(`<${name}>([^<]*)</${name}>`).exec(answer)?.[1] ?? null;
    const [id, secret] = [element('AccessKeyId'), element('SecretAccessKey')];
    if (id === null || secret === null) throw new Error(`STS gave no credentials for role ${arn}`);
    return {
      accessKeyId: id,
      secretAccessKey: secret,
      sessionToken: element('SessionToken'),
      until: endOf(element('Expiration') ?? ''),
    };
  };
}

/** An answer's text. Throws for one that is no success. */
async function ask(services: Services, request: OutgoingRequest): Promise<string> {
  const response = await services.fetch(request);
  const { content } = response;
  let text = '';
  if (typeof content === 'string') text = content;
  else if (content instanceof Uint8Array) text = new TextDecoder().decode(content);
  else if (content !== null) {
    const { bytes, rest } = await readBody(content.stream(), LONGEST);
    await rest?.cancel();
    text = new TextDecoder().decode(bytes ?? new Uint8Array());
  }
  if (response.status < 300) return text;
  // What STS says is wrong; secrets are in no answer but a success.
  const reason = /<Message>([^<]{0,300})/.exec(text)?.[1] ?? '';
  throw new Error(`${new URL(request.url).origin} answered ${response.status} ${reason}`.trim());
}

function endOf(date: string): number {
  const until = Date.parse(date);
  return Number.isNaN(until) ? Date.now() + 2 * MARGIN : until;
}
