import type { Row } from '../../../shared/record.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import type { Services } from '../runtime/services.ts';
import { signatureHeaders } from '../signature-v4.ts';
import { FormParameters } from '../transformation/form-parameters.ts';
import type { Destination } from './destination.ts';
import type { Auth, Model } from './model.ts';
import { ServiceAccount } from './service-account.ts';

/** The credentials of a configuration, as they go with requests for its provider. */
export interface Credentials {
  /** The payload with what `param_location = body` puts there. */
  inBody(payload: Row): Row;
  /** The query with what belongs there. */
  inQuery(query: string, model: Model): string;
  /** Those that are the same for all requests: they give way to the client's own where `allow_override` is set. */
  readonly header: { readonly name: string; readonly value: string; readonly gives: boolean } | null;
  /** Those that have to be made for each: signatures, tokens. Throws where they cannot be had. */
  made(
    request: { readonly method: string; readonly query: string; readonly body: Uint8Array },
    model: Model,
    to: Destination,
  ): Promise<Readonly<Record<string, string>>>;
}

export function compileCredentials(provider: Model['provider'], auth: Auth, services: Services): Credentials {
  const overridable = auth?.allow_override === true;
  const param =
    typeof auth?.param_name === 'string' && typeof auth.param_value === 'string'
      ? { name: auth.param_name, value: auth.param_value, where: auth.param_location }
      : null;
  const account =
    provider === 'gemini' && auth?.gcp_use_service_account === true && typeof auth.gcp_service_account_json === 'string'
      ? new ServiceAccount(auth.gcp_service_account_json, services)
      : null;
  return {
    inBody(payload) {
      if (param?.where !== 'body' || (overridable && payload[param.name] !== undefined)) return payload;
      return { ...payload, [param.name]: param.value };
    },
    inQuery(query, model) {
      const version = model.provider === 'azure' ? (model.options?.azure_api_version ?? null) : null;
      if (param?.where !== 'query' && version === null) return query;
      const parameters = new FormParameters(query);
      if (version !== null) parameters.add('api-version', version);
      if (param?.where === 'query') {
        const { name, value } = param;
        if (!overridable) parameters.remove(name);
        parameters.add(name, value);
      }
      return parameters.encodeSorted();
    },
    header:
      typeof auth?.header_name === 'string' && typeof auth.header_value === 'string'
        ? { name: auth.header_name, value: auth.header_value, gives: overridable && provider !== 'huggingface' }
        : null,
    async made(request, model, to) {
      if (provider === 'gemini' && auth?.gcp_use_service_account === true) {
        if (account === null)
          throw new Error('auth.gcp_service_account_json is not set, and this node has no other account');
        return { Authorization: `Bearer ${await account.token()}` };
      }
      if (provider !== 'bedrock') return NOTHING;
      const [id, secret] = [auth?.aws_access_key_id, auth?.aws_secret_access_key];
      const region = model.options?.bedrock?.aws_region;
      if (typeof region !== 'string') throw new Error('AWS region not specified anywhere');
      if (typeof id !== 'string' || typeof secret !== 'string') {
        throw new Error(
          'auth.aws_access_key_id and auth.aws_secret_access_key are not set, and this node has no others',
        );
      }
      const usual = to.scheme === 'https' ? 443 : 80;
      const host = to.port === usual ? to.host : `${to.host}:${to.port}`;
      const key = { accessKeyId: id, secretAccessKey: secret, sessionToken: null, region, service: 'bedrock' };
      return signatureHeaders({ ...request, host, path: to.path }, key, Date.now());
    },
  };
}

/** Puts those for a request that goes upstream into its headers. */
export function putHeaders(
  { headers }: GatewayRequest,
  { header }: Credentials,
  made: Readonly<Record<string, string>>,
): void {
  if (header !== null && !(header.gives && headers.has(header.name))) headers.set(header.name, header.value);
  for (const [name, value] of Object.entries(made)) headers.set(name, value);
}

const NOTHING: Readonly<Record<string, string>> = {};
