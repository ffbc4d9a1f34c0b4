import type { AclConfig } from '../../shared/plugins/acl.ts';
import type { Row } from '../../shared/record.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import type { HttpResponse } from '../http/messages.ts';
import { andThen } from './runtime/and-then.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';

/**
 * Lets requests through, or keeps them out, by the groups of their consumer, or by those that the authentication itself named. The
 * upstream is told the groups that counted, and none that a client claims.
 */
const acl: Plugin<AclConfig> = {
  name: 'acl',
  version: KONG_VERSION,
  priority: 950,
  compile({ allow, deny, hide_groups_header, always_use_authenticated_groups }) {
    const denied = new Set(deny);
    const allowed = new Set(allow);
    const denying = denied.size > 0;

    const judge = (request: GatewayRequest, groups: readonly string[], header: string): HttpResponse | undefined => {
      const listed = denying ? denied : allowed;
      if (groups.some((group) => listed.has(group)) === denying) return forbidden(request);
      if (!hide_groups_header) request.headers.set(header, groups.join(', '));
      return undefined;
    };

    return {
      access(request) {
        for (const header of GROUP_HEADERS) request.headers.delete(header);
        const { consumer, credential, authenticatedGroups } = request.identity;
        const named = consumer === null || credential === null || always_use_authenticated_groups;
        if (named && authenticatedGroups !== null) return judge(request, authenticatedGroups, AUTHENTICATED_GROUPS);
        if (consumer === null) return outsider(request);
        return andThen(request.lookupAll('acls', consumer.id), (rows) => {
          const groups = groupsOf(rows);
          if (groups.length === 0 && !denying) return outsider(request);
          return judge(request, groups, CONSUMER_GROUPS);
        });
      },
    };
  },
};

export default acl;

const CONSUMER_GROUPS = 'X-Consumer-Groups';
const AUTHENTICATED_GROUPS = 'X-Authenticated-Groups';
const GROUP_HEADERS = [CONSUMER_GROUPS, AUTHENTICATED_GROUPS];

function groupsOf(memberships: readonly Row[]): readonly string[] {
  return memberships.flatMap(({ group }) => (typeof group === 'string' ? group : []));
}

/** In no group: what would help is a credential, where there is none. */
function outsider(request: GatewayRequest): HttpResponse {
  return request.identity.credential === null ? request.error(401) : forbidden(request);
}

function forbidden(request: GatewayRequest): HttpResponse {
  return request.error(403, 'You cannot consume this service');
}
