import { type ChildProcess, spawn } from 'node:child_process';
import { signatureHeaders } from '../../edge-dp/plugins/signature-v4.ts';
import { freePorts } from '../free-port.ts';
import { until } from '../until.ts';
import { peerExecutable } from './peer.ts';

export const REGION = 'eu-west-1';

/** What calls of AWS are signed with. */
export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A running moto, which plays AWS: it checks signatures, with AWS's own library, and policies. */
export interface Moto {
  readonly port: number;
  readonly url: string;
  /** A call of IAM by anybody. */
  iam(parameters: Readonly<Record<string, string>>): Promise<string>;
  /** A user who may do these `actions` everywhere: three calls. */
  user(name: string, actions: string | readonly string[]): Promise<Keys>;
  signed(service: string, path: string, body: Uint8Array<ArrayBuffer>, type: string, keys: Keys): Promise<string>;
  said(): string;
  stop(): void;
}

const NOBODY: Keys = { accessKeyId: 'x', secretAccessKey: 'x' };

/** `setupCalls`: calls that set the account up, of which nobody asks who makes them. */
export async function startMoto(setupCalls: number): Promise<Moto> {
  const [port = 0] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  let output = '';
  const child: ChildProcess = spawn(peerExecutable('moto'), ['-H', '127.0.0.1', '-p', String(port)], {
    env: { ...process.env, INITIAL_NO_AUTH_ACTION_COUNT: String(setupCalls) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => (output += data));
  const listens = () =>
    fetch(`${url}/moto-api/`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until(listens, 'moto to listen', 30_000).catch((error) => {
    child.kill();
    throw new Error(`${error.message}; it said: ${output}`);
  });

  const signed: Moto['signed'] = async (service, path, body, type, keys) => {
    const request = { method: 'POST', host: `127.0.0.1:${port}`, path, query: '', body };
    const by = { ...keys, sessionToken: null, region: REGION, service };
    const headers = await signatureHeaders(request, by, Date.now());
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { ...headers, 'content-type': type },
      body,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${service}: ${response.status} ${text}; moto said: ${output}`);
    return text;
  };
  const iam: Moto['iam'] = (parameters) => {
    const body = new URLSearchParams({ ...parameters, Version: '2010-05-08' }).toString();
    return signed('iam', '/', new TextEncoder().encode(body), 'application/x-www-form-urlencoded', NOBODY);
  };
  return {
    port,
    url,
    iam,
    async user(name, actions) {
      const Statement = [{ Effect: 'Allow', Action: actions, Resource: '*' }];
      const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement });
      await iam({ Action: 'CreateUser', UserName: name });
      await iam({ Action: 'PutUserPolicy', UserName: name, PolicyName: 'own', PolicyDocument });
      const made = await iam({ Action: 'CreateAccessKey', UserName: name });
      const accessKeyId = /<AccessKeyId>([^<]+)/.exec(made)?.[1];
      const secretAccessKey = /<SecretAccessKey>([^<]+)/.exec(made)?.[1];
      if (accessKeyId === undefined || secretAccessKey === undefined) throw new Error(`no access key: ${made}`);
      return { accessKeyId, secretAccessKey };
    },
    signed,
    said: () => output,
    stop: () => void child.kill(),
  };
}
