import { ACME_CHALLENGES, namesOf } from '../../shared/acme.ts';
import type { AcmeConfig } from '../../shared/plugins/acme.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import type { Answer, Plugin, Step } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';

/** Answers the challenges by which an ACME server makes sure of a name (RFC 8555 section 8.3); the control plane orders. */
const acme: Plugin<AcmeConfig> = {
  name: 'acme',
  version: KONG_VERSION,
  priority: 1705,
  compile(config, _place, services) {
    const challenges = services.records(ACME_CHALLENGES, 'cluster');
    const isServed = namesOf(config);

    const answer = (request: GatewayRequest): Step<Answer> => {
      if (!request.rawPath.startsWith(PREFIX) || request.rawPath.length === PREFIX.length) return undefined;
      if (!isPlain(request)) return undefined;
      const host = hostOf(request);
      if (!isServed(host) || (config.enable_ipv4_common_name === false && IPV4.test(host))) return undefined;
      const token = request.rawPath.slice(PREFIX.length);
      // `x` is what people try the way of a challenge with.
      if (token === 'x' || !TOKEN.test(token)) return request.exit(404, NOT_FOUND);
      return challenges
        .get(token)
        .then((text) => (typeof text === 'string' ? request.exit(200, text) : request.exit(404, NOT_FOUND)));
    };

    // Before there is a route, so that none is needed; with one, in workspaces of their own.
    return { rewrite: answer, access: answer };
  },
};

export default acme;

const PREFIX = '/.well-known/acme-challenge/';
const TOKEN = /^[A-Za-z0-9_-]{1,256}$/;
const IPV4 = /^\d+\.\d+\.\d+\.\d+$/;
const NOT_FOUND = 'Not found\n';

function isPlain({ client, forwarded, scheme }: GatewayRequest): boolean {
  return (client.trusted ? forwarded.proto : scheme) === 'http';
}

/** Without the port. */
function hostOf({ incoming }: GatewayRequest): string {
  return (incoming.headers.get('host') ?? '').toLowerCase().replace(/:\d+$/, '');
}
