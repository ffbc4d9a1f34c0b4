import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';
import { calculateJwkThumbprint, flattenedVerify, importJWK, type JWK } from 'jose';
import { mustBeRecord, type Row } from '../../../shared/record.ts';
import { type Authority, authority } from '../pki/authority.ts';

/** An ACME server (RFC 8555) for http-01, strict with what it is sent. */
export interface AcmeServer {
  /** Of its directory. */
  readonly url: string;
  /** Names orders were made for, in their order. */
  readonly ordered: string[];
  /** Registrations, as they were signed. */
  readonly accounts: Readonly<Row>[];
  /** The keys of accounts, each once. */
  readonly accountKeys: readonly JWK[];
  /** The port challenges are asked for at, whatever the name. */
  challengePort: number;
  /** How it is other than usual. */
  readonly faults: {
    /** Refuses so many nonces. */
    nonces: number;
    /** The token of its challenges; null: a good one. */
    token: string | null;
    /** Days its certificates are good for. */
    days: number;
    /** How often an order is looked at before it is ready, all of its authorizations being valid. */
    looks: number;
  };
  stop(): void;
}

interface AcmeServerOptions {
  /** MAC keys of external accounts, by id, in base64url; where there are any, an account needs one. */
  readonly external?: Readonly<Record<string, string>>;
}

interface Order {
  readonly host: string;
  readonly account: string;
  readonly token: string;
  status: 'pending' | 'valid' | 'invalid';
  looks: number;
  error: string;
  chain: string | null;
}

const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';

class Problem extends Error {
  readonly type: string;
  constructor(type: string, detail: string) {
    super(detail);
    this.type = `urn:ietf:params:acme:error:${type}`;
  }
}

export async function startAcmeServer({ external = {} }: AcmeServerOptions = {}): Promise<AcmeServer> {
  const root = await authority('acme root');
  const other = await authority('other root');
  const nonces = new Set<string>();
  const keys = new Map<string, JWK>();
  const orders: Order[] = [];
  const faults: AcmeServer['faults'] = { nonces: 0, token: null, days: 90, looks: 0 };
  const server: AcmeServer = {
    url: '',
    ordered: [],
    accounts: [],
    get accountKeys() {
      return [...keys.values()];
    },
    challengePort: 0,
    faults,
    stop: () => http.close(),
  };
  const at = (path: string): string => `${server.url.replace('/directory', '')}${path}`;
  const nonce = (): string => {
    const made = randomBytes(16).toString('base64url');
    nonces.add(made);
    return made;
  };

  /** Checks a request's signature; gives who sent it, and what it says. */
  const verified = async (message: IncomingMessage) => {
    if (message.headers['content-type'] !== 'application/jose+json') throw new Problem('malformed', 'content type');
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk);
    const jws = JSON.parse(Buffer.concat(chunks).toString());
    const head = JSON.parse(Buffer.from(jws.protected, 'base64url').toString());
    if (head.url !== at(String(message.url))) throw new Problem('unauthorized', `url ${head.url}`);
    if (!nonces.delete(head.nonce)) throw new Problem('badNonce', 'used or made up');
    if (faults.nonces > 0) {
      faults.nonces -= 1;
      throw new Problem('badNonce', 'none is good today');
    }
    if ((head.jwk === undefined) === (head.kid === undefined)) throw new Problem('malformed', 'jwk or kid');
    const jwk = head.jwk ?? keys.get(head.kid);
    if (jwk === undefined) throw new Problem('accountDoesNotExist', head.kid);
    if ('d' in jwk) throw new Problem('malformed', 'a private key');
    const { payload } = await flattenedVerify(jws, await importJWK(jwk, head.alg));
    const text = Buffer.from(payload).toString();
    return { account: String(head.kid), jwk, said: text === '' ? null : mustBeRecord(JSON.parse(text), 'payload') };
  };

  const register = (jwk: JWK, said: Readonly<Row>): string => {
    if (said.termsOfServiceAgreed !== true) throw new Problem('userActionRequired', 'agree to the terms first');
    if (Object.keys(external).length > 0) {
      const bound = mustBeRecord(said.externalAccountBinding ?? {}, 'externalAccountBinding');
      const head = JSON.parse(Buffer.from(String(bound.protected ?? 'e30'), 'base64url').toString());
      const mac = createHmac('sha256', Buffer.from(external[head.kid] ?? '', 'base64url'))
        .update(`${bound.protected}.${bound.payload}`)
        .digest();
      const shown = Buffer.from(String(bound.signature ?? ''), 'base64url');
      if (!(head.kid in external) || shown.length !== mac.length || !timingSafeEqual(shown, mac)) {
        throw new Problem('externalAccountRequired', 'no binding that holds');
      }
      if (Buffer.from(String(bound.payload), 'base64url').toString() !== JSON.stringify(jwk)) {
        throw new Problem('malformed', 'the binding is of another key');
      }
    }
    const known = [...keys].find(([, key]) => JSON.stringify(key) === JSON.stringify(jwk))?.[0];
    const account = known ?? at(`/account/${keys.size + 1}`);
    keys.set(account, jwk);
    server.accounts.push(said);
    return account;
  };

  const handlers: Readonly<
    Record<string, (id: number, from: Awaited<ReturnType<typeof verified>>) => Promise<Answer>>
  > = {
    account: async (_, { jwk, said }) => ({ status: 201, location: register(jwk, said ?? {}), body: {} }),
    order: async (_, { account, said }) => {
      const [identifier] = Array.isArray(said?.identifiers) ? said.identifiers : [];
      const host = String(mustBeRecord(identifier, 'identifier').value);
      const token = faults.token ?? randomBytes(16).toString('base64url');
      orders.push({ host, account, token, status: 'pending', looks: faults.looks, error: '', chain: null });
      server.ordered.push(host);
      const id = orders.length - 1;
      return { status: 201, location: at(`/orders/${id}`), body: orderBody(id) };
    },
    orders: async (id) => {
      const body = orderBody(id);
      const order = orderAt(id);
      if (order.status === 'valid' && order.looks > 0) order.looks -= 1;
      return { body };
    },
    authorization: async (id) => ({ body: authorizationBody(id) }),
    challenge: async (id, { account }) => {
      void validate(orderAt(id), keys.get(account));
      return { body: {} };
    },
    finalize: async (id, { said }) => {
      const order = orderAt(id);
      if (order.status !== 'valid' || order.looks > 0) throw new Problem('orderNotReady', order.status);
      order.chain = await issue(order.host, String(said?.csr));
      return { body: orderBody(id) };
    },
    chain: async (id) => ({
      link: `<${at(`/other/${id}`)}>;rel="alternate"`,
      text: `${orderAt(id).chain}${root.pem}\n`,
    }),
    other: async (id) => ({ text: `${orderAt(id).chain}${other.pem}\n` }),
  };

  const orderAt = (id: number): Order => orders[id] ?? fail('no such order');
  const orderBody = (id: number): object => {
    const { status, chain, error, looks } = orderAt(id);
    const open = status === 'valid' ? (looks > 0 ? 'pending' : 'ready') : status;
    return {
      status: chain !== null ? 'valid' : open,
      authorizations: [at(`/authorization/${id}`)],
      finalize: at(`/finalize/${id}`),
      ...(chain !== null && { certificate: at(`/chain/${id}`) }),
      ...(error !== '' && { error: { type: 'x', detail: error } }),
    };
  };
  const authorizationBody = (id: number): object => {
    const { status, token, error } = orderAt(id);
    return {
      status,
      challenges: [
        { type: 'dns-01', url: at('/none'), token },
        {
          type: 'http-01',
          url: at(`/challenge/${id}`),
          token,
          ...(error !== '' && { error: { type: 'urn:ietf:params:acme:error:unauthorized', detail: error } }),
        },
      ],
    };
  };

  /** Asks the host for the challenge, as from the internet. */
  async function validate(order: Order, jwk: JWK | undefined): Promise<void> {
    const expected = `${order.token}.${await calculateJwkThumbprint(jwk ?? {})}`;
    const text = await ask(server.challengePort, order.host, `/.well-known/acme-challenge/${order.token}`);
    order.status = text === expected ? 'valid' : 'invalid';
    if (text !== expected) order.error = `${order.host} answered '${text}'`;
  }

  async function issue(host: string, csr: string): Promise<string> {
    const wanted = new Pkcs10CertificateRequest(Buffer.from(csr, 'base64url'));
    if (!(await wanted.verify())) throw new Problem('badCSR', 'signature');
    const extension = wanted.getExtension(SUBJECT_ALTERNATIVE_NAME);
    const names = extension === null ? [] : new SubjectAlternativeNameExtension(extension.rawData).names.toJSON();
    const named = names.map(({ value }) => value).join();
    if (named !== host || wanted.subject !== `CN=${host}`) throw new Problem('badCSR', `${named} ${wanted.subject}`);
    return (await issued(root, wanted, host, faults.days)).concat('\n');
  }

  const http = createServer((message, response) => {
    const [, kind = '', id = ''] = (message.url ?? '').split('/');
    const work = async (): Promise<Answer> => {
      if (kind === 'directory') {
        return { body: { newNonce: at('/nonce'), newAccount: at('/account'), newOrder: at('/order') } };
      }
      if (kind === 'nonce') return { text: '' };
      const handler = handlers[kind];
      if (handler === undefined || message.method !== 'POST')
        throw new Problem('malformed', `${message.method} ${kind}`);
      return handler(Number(id), await verified(message));
    };
    work().then(
      (answer) => send(response, answer, nonce()),
      (error: unknown) => {
        const type = error instanceof Problem ? error.type : 'urn:ietf:params:acme:error:serverInternal';
        send(response, { status: 400, body: { type, detail: String(error) } }, nonce());
      },
    );
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return Object.assign(server, { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/directory` });
}

interface Answer {
  readonly status?: number;
  readonly location?: string;
  readonly link?: string;
  readonly body?: object;
  readonly text?: string;
}

function send(response: ServerResponse, { status = 200, location, link, body, text }: Answer, nonce: string): void {
  response
    .writeHead(status, {
      'replay-nonce': nonce,
      ...(location !== undefined && { location }),
      ...(link !== undefined && { link }),
    })
    .end(text ?? JSON.stringify(body));
}

async function issued(ca: Authority, wanted: Pkcs10CertificateRequest, host: string, days: number): Promise<string> {
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${host}`,
    issuer: ca.certificate.subject,
    serialNumber: randomBytes(12).toString('hex'),
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + days * 86_400_000),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    signingKey: ca.keys.privateKey,
    publicKey: wanted.publicKey,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: host }])],
  });
  return certificate.toString('pem');
}

function ask(port: number, host: string, path: string): Promise<string> {
  return new Promise((resolve) => {
    const asked = request({ host: '127.0.0.1', port, path, headers: { host } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (data: string) => {
        text += data;
      });
      response.on('end', () => resolve(text));
    });
    asked.on('error', (error) => resolve(error.message));
    asked.end();
  });
}

function fail(what: string): never {
  throw new Problem('malformed', what);
}
