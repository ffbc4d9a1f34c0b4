import { compileCidrs } from '../../shared/cidr.ts';
import type { IpRestrictionConfig } from '../../shared/plugins/ip-restriction.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import type { Plugin } from './runtime/plugin.ts';

/** Keeps clients out, or lets them in, by their address; what is denied is denied whatever is allowed. */
const ipRestriction: Plugin<IpRestrictionConfig> = {
  name: 'ip-restriction',
  version: KONG_VERSION,
  priority: 990,
  compile({ allow, deny, status, message }, _place, services) {
    const allowed = allow === null || allow.length === 0 ? null : compileCidrs(allow);
    const denied = compileCidrs(deny ?? []);
    const lets = (ip: string): boolean => !denied.has(ip) && (allowed === null || allowed.has(ip));
    return {
      access(request) {
        const { ip } = request.client;
        if (ip === '') return request.error(403, UNKNOWN);
        return lets(ip) ? undefined : request.error(status ?? 403, message ?? `IP address not allowed: ${ip}`);
      },
      preread({ id, client: { ip } }) {
        if (ip !== '' && lets(ip)) return undefined;
        services.log('warn', `session ${id}: ${ip === '' ? UNKNOWN : (message ?? `IP address not allowed: ${ip}`)}`);
        return status ?? 403;
      },
    };
  },
};

export default ipRestriction;

/** Kong's words, which are of the one case it knows of. */
const UNKNOWN = 'Cannot identify the client IP address, unix domain sockets are not supported.';
