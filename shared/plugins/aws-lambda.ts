import { need } from '../cluster/need.ts';
import { headerValue, host, httpProtocols, port, url } from '../schema/kinds.ts';
import { getPath } from '../schema/record.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Answers requests with an AWS Lambda function. */
export const awsLambda = definePlugin({
  name: 'aws-lambda',
  version: KONG_VERSION,
  priority: 750,
  phases: ['access', 'header_filter'],
  *needs({ proxy_url }) {
    if (typeof proxy_url === 'string') yield need('http_proxy', 'config.proxy_url', proxy_url);
  },
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        timeout: {
          type: 'number',
          required: true,
          default: 60000,
          description: 'Milliseconds until the function is given up.',
        },
        keepalive: {
          type: 'number',
          required: true,
          default: 60000,
          description: 'Milliseconds for which an idle connection is kept.',
        },
        aws_key: {
          ...headerValue,
          referenceable: true,
          encrypted: true,
          description: 'Access key ID. Not set: from the environment or the role of the machine.',
        },
        aws_secret: {
          type: 'string',
          referenceable: true,
          encrypted: true,
          description: 'Secret access key that belongs to it.',
        },
        aws_assume_role_arn: {
          type: 'string',
          referenceable: true,
          encrypted: true,
          description: 'The role that is taken on before the function is called.',
        },
        aws_role_session_name: {
          type: 'string',
          default: 'kong',
          description: 'What the session of that role is called.',
        },
        aws_sts_endpoint_url: {
          ...url,
          description: 'Where the security token service is, if not at its usual address.',
        },
        aws_region: {
          ...host,
          description: 'Region of the function. Not set: from the environment of the data plane.',
        },
        function_name: { type: 'string', required: false, description: 'Name or ARN of the function.' },
        qualifier: { type: 'string', description: 'The version or the alias of the function.' },
        invocation_type: {
          type: 'string',
          required: true,
          default: 'RequestResponse',
          one_of: ['RequestResponse', 'Event', 'DryRun'],
          description:
            'RequestResponse: its answer is waited for. Event: it is not. DryRun: only whether it may be called.',
        },
        log_type: {
          type: 'string',
          required: true,
          default: 'Tail',
          one_of: ['Tail', 'None'],
          description: 'Tail: the end of the function’s log comes with the answer.',
        },
        host: { ...host, description: 'Where Lambda is, if not at the address of its region.' },
        port: { ...port, default: 443, description: 'Where it listens there.' },
        disable_https: { type: 'boolean', default: false, description: 'Lambda is asked without TLS.' },
        unhandled_status: {
          type: 'integer',
          between: [100, 999],
          description: 'Status of the answer when the function failed.',
        },
        forward_request_method: {
          type: 'boolean',
          default: false,
          description: 'The function gets the method of the request.',
        },
        forward_request_uri: { type: 'boolean', default: false, description: 'The function gets path and query.' },
        forward_request_headers: { type: 'boolean', default: false, description: 'The function gets the headers.' },
        forward_request_body: { type: 'boolean', default: false, description: 'The function gets the body.' },
        is_proxy_integration: {
          type: 'boolean',
          default: false,
          description: 'The function’s answer says which status, headers and body the client gets.',
        },
        awsgateway_compatible: {
          type: 'boolean',
          default: false,
          description: 'The function gets what Amazon’s API Gateway would send it.',
        },
        proxy_url: { ...url, description: 'The HTTP proxy that Lambda is reached through.' },
        skip_large_bodies: {
          type: 'boolean',
          default: true,
          description: 'A body that is too large to be held in memory is left out.',
        },
        base64_encode_body: { type: 'boolean', default: true, description: 'The body is sent as Base64.' },
        aws_imds_protocol_version: {
          type: 'string',
          required: true,
          default: 'v1',
          one_of: ['v1', 'v2'],
          description: 'How the machine is asked for its role.',
        },
        empty_arrays_mode: {
          type: 'string',
          required: true,
          default: 'legacy',
          one_of: ['legacy', 'correct'],
          description: 'Changes nothing: with either, empty lists in what a function answers stay lists.',
        },
      },
    },
  },
  entity_checks: [
    { mutually_required: ['config.aws_key', 'config.aws_secret'] },
    { custom_entity_check: { field_sources: ['config.proxy_url'], fn: proxySchemeError } },
  ],
});

function proxySchemeError(plugin: Readonly<Record<string, unknown>>): string | undefined {
  const url = getPath(plugin, ['config', 'proxy_url']);
  const [, scheme] = (typeof url === 'string' && /^([^:]+):\/\//.exec(url)) || [];
  return scheme === undefined || scheme === 'http' ? undefined : 'proxy_url scheme must be http';
}

export type AwsLambdaConfig = Entity<typeof awsLambda>['config'];
