import { namesOf } from '../../../shared/acme.ts';
import type { AcmeConfig } from '../../../shared/plugins/acme.ts';
import type { Row } from '../../../shared/record.ts';
import { messageOf } from '../../../shared/thrown.ts';
import type { Workspace } from '../../store/store.ts';
import { type JsonSchema, messageSchema, objectOf } from '../openapi/description.ts';
import { message, notFound, ok, type Reply } from '../reply.ts';
import { argument } from '../request/body.ts';
import { type AdminRoute, type Operation, param } from '../route.ts';

/** What the `/acme` endpoints ask for. */
export interface AcmeDesk {
  configOf(workspace: Workspace): Promise<AcmeConfig | null>;
  update(workspace: Workspace, config: AcmeConfig, host: string): Promise<void>;
  renew(): Promise<void>;
  certificates(workspace: Workspace): Promise<readonly Row[]>;
  certificate(workspace: Workspace, host: string): Promise<Row | null>;
}

/** Orders, renewals and certificates of the acme plugin, as it brings them in Kong. */
export function acmeRoutes(acme: AcmeDesk): AdminRoute[] {
  const create: Operation = {
    describe: {
      summary: 'Order a certificate for a host, or try whether its challenges arrive here',
      tag: 'acme',
      body: {
        required: true,
        schema: {
          type: 'object',
          properties: { host: { type: 'string' }, test_http_challenge_flow: { type: 'boolean' } },
          required: ['host'],
        },
      },
      success: { status: 201, schema: messageSchema },
      errors: [400, 404],
    },
    async handle({ body, workspace }) {
      const config = await acme.configOf(workspace);
      if (config === null) return notFound;
      const host = argument(body, 'host');
      if (typeof host !== 'string' || host === '') {
        return message(400, 'host must be provided and containing a single domain');
      }
      if (host.includes(':')) return message(400, 'port is not allowed in host');
      const tries = argument(body, 'test_http_challenge_flow');
      if (tries === true || tries === 'true') return await tryChallenge(config, host.toLowerCase());
      try {
        await acme.update(workspace, config, host.toLowerCase());
      } catch (error) {
        return message(500, `failed to update certificate: ${messageOf(error)}`);
      }
      return message(201, `certificate for host ${host} is created`);
    },
  };
  const renew: Operation = {
    describe: {
      summary: 'Renew the certificates that are due',
      tag: 'acme',
      success: { status: 202, schema: messageSchema },
    },
    handle() {
      void acme.renew();
      return message(202, 'Renewal process started successfully');
    },
  };
  const list: Operation = {
    describe: {
      summary: 'List the certificates that were ordered',
      tag: 'acme',
      query: [{ name: 'invalid_only', description: 'Only those out of date.', schema: { type: 'string' } }],
      success: { status: 200, schema: objectOf({ data: { type: 'array', items: certificate } }) },
      errors: [404],
    },
    async handle({ workspace, query }) {
      if ((await acme.configOf(workspace)) === null) return notFound;
      const all = await acme.certificates(workspace);
      return ok({ data: query.get('invalid_only') ? all.filter(({ valid }) => valid !== true) : all });
    },
  };
  const read: Operation = {
    describe: {
      summary: 'Read the certificate of a host',
      tag: 'acme',
      success: { status: 200, schema: objectOf({ data: certificate }) },
      errors: [404],
    },
    async handle(call) {
      if ((await acme.configOf(call.workspace)) === null) return notFound;
      const host = param(call, 'host');
      const data = await acme.certificate(call.workspace, host.toLowerCase());
      return data === null ? message(404, `Certificate for host ${host} not found in storage`) : ok({ data });
    },
  };
  return [
    { path: '/acme', methods: { POST: create, PATCH: renew } },
    { path: '/acme/certificates', methods: { GET: list } },
    { path: '/acme/certificates/{host}', methods: { GET: read } },
  ];
}

const certificate: JsonSchema = objectOf({
  digest: { type: 'string' },
  host: { type: 'string' },
  issuer_cn: { type: 'string' },
  not_before: { type: 'string' },
  not_after: { type: 'string' },
  valid: { type: 'boolean' },
  serial_number: { type: 'string' },
  pubkey_type: { type: 'string' },
});

/** Milliseconds for an answer of the host. */
const PATIENCE = 10_000;

/** Asks for a challenge as an ACME server would. */
async function tryChallenge(config: AcmeConfig, host: string): Promise<Reply> {
  const problem = (what: string): Reply => message(400, `problem found running sanity check for ${host}: ${what}`);
  if (!namesOf(config)(host)) return problem('host is not included in plugin config.domains');
  const path = `http://${host}/.well-known/acme-challenge/`;
  try {
    const answer = await fetch(`${path}x`, { redirect: 'manual', signal: AbortSignal.timeout(PATIENCE) });
    const text = (await answer.text()).slice(0, 1000);
    if (text === 'Not found\n') return ok({ message: `sanity test for host ${host} passed` });
    const status = answer.status === 404 ? '' : `, unexpected status code: ${answer.status}`;
    return problem(`unexpected response: "${text}"${status}`);
  } catch (error) {
    return problem(messageOf(error));
  }
}
