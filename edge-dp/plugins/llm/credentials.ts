import type { Row } from '../../../shared/record.ts';
import { type CredentialSource, givenCredentials, kept, nodeCredentials, variable } from '../aws/credentials.ts';
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
  /** `made` looks at the body. */
  readonly signsBodies: boolean;
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
    provider === 'gemini' && auth?.gcp_use_service_account === true
      ? accountOf(auth.gcp_service_account_json, services)
      : null;
  const signer = provider === 'bedrock' ? signerOf(auth, services) : null;
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
    signsBodies: signer !== null,
    async made(request, model, to) {
      if (account !== null) return { Authorization: `Bearer ${await (await account()).token()}` };
      if (signer === null) return NOTHING;
      const region = model.options?.bedrock?.aws_region;
      if (typeof region !== 'string') throw new Error('AWS region not specified anywhere');
      const { accessKeyId, secretAccessKey, sessionToken } = await signer();
      const usual = to.scheme === 'https' ? 443 : 80;
      const host = to.port === usual ? to.host : `${to.host}:${to.port}`;
      const key = { accessKeyId, secretAccessKey, sessionToken, region, service: 'bedrock' };
      return signatureHeaders({ ...request, host, path: to.path }, key, Date.now());
    },
  };
}

/**
 * The config's account of Google, or the node's (`GCP_SERVICE_ACCOUNT`). Read when it is first asked for: Kong accepts any text
 * there, and what is wrong with it fails the requests that need it, not the config.
 */
function accountOf(json: string | null | undefined, services: Services): () => Promise<ServiceAccount> {
  let account: ServiceAccount | null = null;
  return async () => {
    if (account !== null) return account;
    const found = json ?? (await variable(services, 'GCP_SERVICE_ACCOUNT'));
    if (found === null)
      throw new Error('auth.gcp_service_account_json is not set, and GCP_SERVICE_ACCOUNT of this node is not, either');
    account = new ServiceAccount(found, services);
    return account;
  };
}

/** The config's key of AWS, or the node's own. */
function signerOf(auth: Auth, services: Services): CredentialSource {
  const [id, secret] = [auth?.aws_access_key_id, auth?.aws_secret_access_key];
  return typeof id === 'string' && typeof secret === 'string'
    ? givenCredentials(id, secret)
    : kept(nodeCredentials(services, 'v2'), services.log);
}

/** A model with the region it is in, where that is Bedrock: of the config, or of the node's environment. */
export async function located(model: Model, services: Pick<Services, 'vaults'>): Promise<Model> {
  const { provider, options } = model;
  if (provider !== 'bedrock' || options === null || typeof options.bedrock?.aws_region === 'string') return model;
  const region = (await variable(services, 'AWS_REGION')) ?? (await variable(services, 'AWS_DEFAULT_REGION'));
  return region === null
    ? model
    : { ...model, options: { ...options, bedrock: { ...options.bedrock, aws_region: region } } };
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
