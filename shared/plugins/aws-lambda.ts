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
        timeout: { type: 'number', required: true, default: 60000 },
        keepalive: { type: 'number', required: true, default: 60000 },
        aws_key: { ...headerValue, referenceable: true, encrypted: true },
        aws_secret: { type: 'string', referenceable: true, encrypted: true },
        aws_assume_role_arn: { type: 'string', referenceable: true, encrypted: true },
        aws_role_session_name: { type: 'string', default: 'kong' },
        aws_sts_endpoint_url: url,
        aws_region: host,
        function_name: { type: 'string', required: false },
        qualifier: { type: 'string' },
        invocation_type: {
          type: 'string',
          required: true,
          default: 'RequestResponse',
          one_of: ['RequestResponse', 'Event', 'DryRun'],
        },
        log_type: { type: 'string', required: true, default: 'Tail', one_of: ['Tail', 'None'] },
        host,
        port: { ...port, default: 443 },
        disable_https: { type: 'boolean', default: false },
        unhandled_status: { type: 'integer', between: [100, 999] },
        forward_request_method: { type: 'boolean', default: false },
        forward_request_uri: { type: 'boolean', default: false },
        forward_request_headers: { type: 'boolean', default: false },
        forward_request_body: { type: 'boolean', default: false },
        is_proxy_integration: { type: 'boolean', default: false },
        awsgateway_compatible: { type: 'boolean', default: false },
        proxy_url: url,
        skip_large_bodies: { type: 'boolean', default: true },
        base64_encode_body: { type: 'boolean', default: true },
        aws_imds_protocol_version: { type: 'string', required: true, default: 'v1', one_of: ['v1', 'v2'] },
        empty_arrays_mode: { type: 'string', required: true, default: 'legacy', one_of: ['legacy', 'correct'] },
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
