import type { ResponseRatelimitingConfig } from '../../shared/plugins/response-ratelimiting.ts';
import { messageOf } from '../../shared/thrown.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { LimitCounters } from './limits/limit-counters.ts';
import { keyPrefix } from './limits/limit-keys.ts';
import { limitedBy } from './limits/limited-by.ts';
import { type Limit, limitsOf, windowsAt } from './limits/periods.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import type { Usage, Window } from './runtime/services.ts';
import { slot } from './runtime/slot.ts';

/** A limit in one of its periods. */
interface NamedLimit extends Limit {
  readonly name: string;
  readonly limitHeader: string;
  readonly leftHeader: string;
}

/** What was left of a limit in one of its windows when the request came. */
interface Left {
  readonly limit: NamedLimit;
  readonly window: Window;
  readonly left: number;
}

const usage = slot<readonly Left[]>();

/** Limits what upstreams say in a header their answers cost; what goes beyond a limit is still answered, the next is not. */
const responseRatelimiting: Plugin<ResponseRatelimitingConfig> = {
  name: 'response-ratelimiting',
  version: KONG_VERSION,
  priority: 900,
  compile(config, place, services) {
    const { block_on_first_violation, hide_client_headers } = config;
    const header = config.header_name ?? 'x-kong-limit';
    const names = Object.keys(config.limits);
    const limits = names.map((name) => limitsOf(config.limits[name] ?? NO_LIMITS).map((limit) => named(name, limit)));
    const all = limits.flat();
    const prefix = keyPrefix('response-ratelimit', place);
    const identifierOf = limitedBy(config);
    const counters = new LimitCounters('response-ratelimiting', config, place, services);

    const judge = (request: GatewayRequest, windows: readonly Window[], used: readonly Usage[] | null) => {
      if (used === null) return undefined;
      const found = all.flatMap((limit, i): Left[] => {
        const [window, counted] = [windows[i], used[i]];
        return window === undefined || counted === undefined
          ? []
          : [{ limit, window, left: limit.limit - counted.used }];
      });
      const spent = block_on_first_violation ? found.find(({ left }) => left === 0) : undefined;
      if (spent !== undefined) return request.error(429, `API rate limit exceeded for '${spent.limit.name}'`);
      usage.set(request, found);
      // As in Kong, `hide_client_headers` does not hide these: clients count on what is left of each limit.
      for (const name of names) {
        const least = Math.min(...found.filter(({ limit }) => limit.name === name).map(({ left }) => left));
        // Kong 3.9 tells the client alone, what its own pages say of the upstream notwithstanding; releases behind it tell the upstream.
        request.headers.set(`X-RateLimit-Remaining-${name}`, String(least));
        request.replyHeaders.set(`X-RateLimit-Remaining-${name}`, String(least));
      }
      return undefined;
    };

    /** Before the head goes out, so that the client's next request finds it counted. */
    const count = async (known: readonly Left[], costs: ReadonlyMap<string, number>) => {
      const counting = [...costs].map(async ([name, cost]) => {
        const windows = known.filter(({ limit }) => limit.name === name).map(({ window }) => window);
        try {
          await counters.add(windows, cost);
        } catch (error) {
          services.log('error', `response-ratelimiting (${place.id}) lost ${name}=${cost}: ${messageOf(error)}`);
        }
      });
      await Promise.all(counting);
      return undefined;
    };

    return {
      access(request) {
        const now = Date.now();
        const identifier = prefix + identifierOf(request);
        const windows = names.flatMap((name, i) => windowsAt(now, limits[i] ?? [], `${identifier}:${name}`));
        const used = counters.usage(windows);
        return used instanceof Promise
          ? used.then((known) => judge(request, windows, known))
          : judge(request, windows, used);
      },
      response(request, reply) {
        const known = usage.get(request);
        if (known === undefined) return undefined;
        const costs = costsIn(reply.headers.get(header), names);
        reply.headers.delete(header);
        let refused = false;
        for (const { limit, left } of known) {
          const cost = costs.get(limit.name) ?? 0;
          if (cost > 0 && left <= 0) refused = true;
          if (hide_client_headers) continue;
          reply.headers.set(limit.limitHeader, String(limit.limit));
          reply.headers.set(limit.leftHeader, String(Math.max(0, left - cost)));
        }
        if (refused) return request.exit(429);
        return costs.size === 0 ? undefined : count(known, costs);
      },
    };
  },
};

export default responseRatelimiting;

const NO_LIMITS = { second: null, minute: null, hour: null, day: null, month: null, year: null };

function named(name: string, { period, limit }: Limit): NamedLimit {
  return {
    name,
    period,
    limit,
    limitHeader: `X-RateLimit-Limit-${name}-${period}`,
    leftHeader: `X-RateLimit-Remaining-${name}-${period}`,
  };
}

/** `name=cost, …`: the last one of a name counts, unknown names and what is no number do not. */
function costsIn(value: string | null, names: readonly string[]): ReadonlyMap<string, number> {
  const costs = new Map<string, number>();
  for (const item of value?.split(',') ?? []) {
    const [name = '', cost = '', ...more] = item.split('=').map((part) => part.trim());
    // A part of something cannot be counted.
    const amount = cost === '' || more.length > 0 ? Number.NaN : Math.ceil(Number(cost));
    if (names.includes(name) && Number.isSafeInteger(amount)) costs.set(name, amount);
  }
  return costs;
}
