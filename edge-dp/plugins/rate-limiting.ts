import type { RateLimitingConfig } from '../../shared/plugins/rate-limiting.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { LimitCounters } from './limits/limit-counters.ts';
import { keyPrefix } from './limits/limit-keys.ts';
import { limitedBy } from './limits/limited-by.ts';
import { type Limit, limitsOf, secondsLeft, windowsAt } from './limits/periods.ts';
import type { Answer, Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import type { Usage, Window } from './runtime/services.ts';

/** Allows so many requests per period; those it refuses are not counted. */
const rateLimiting: Plugin<RateLimitingConfig> = {
  name: 'rate-limiting',
  version: KONG_VERSION,
  priority: 910,
  compile(config, place, services) {
    const { error_code, error_message, hide_client_headers } = config;
    const limits = limitsOf(config);
    const prefix = keyPrefix('ratelimit', place);
    const identifierOf = limitedBy(config);
    const counters = new LimitCounters('rate-limiting', config, place, services);
    const tell = hide_client_headers ? () => undefined : headersOf(limits);

    const decide = (
      request: GatewayRequest,
      windows: readonly Window[],
      usages: readonly Usage[] | null,
      now: number,
    ) => {
      if (usages === null) return undefined;
      const reset = tell(request, windows, usages, now);
      if (usages.every(({ room }) => room)) return undefined;
      if (reset !== undefined) request.replyHeaders.set('Retry-After', reset);
      return request.error(error_code ?? 429, error_message ?? 'API rate limit exceeded') satisfies Answer;
    };

    return {
      access(request) {
        const now = Date.now();
        const windows = windowsAt(now, limits, prefix + identifierOf(request));
        const usages = counters.take(windows, 1);
        return usages instanceof Promise
          ? usages.then((known) => decide(request, windows, known, now))
          : decide(request, windows, usages, now);
      },
    };
  },
};

export default rateLimiting;

/** Tells the client what is left; gives the seconds until the tightest window is over, the longer one where two are as tight. */
function headersOf(limits: readonly Limit[]) {
  const told = limits.map(({ period, limit }) => {
    const name = period.charAt(0).toUpperCase() + period.slice(1);
    return {
      limit,
      shown: String(limit),
      limitName: `X-RateLimit-Limit-${name}`,
      leftName: `X-RateLimit-Remaining-${name}`,
    };
  });
  return (
    { replyHeaders }: GatewayRequest,
    windows: readonly Window[],
    usages: readonly Usage[],
    now: number,
  ): string | undefined => {
    let tightest = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < told.length; i++) {
      const [one, usage] = [told[i], usages[i]];
      if (one === undefined || usage === undefined) continue;
      const left = Math.max(0, one.limit - usage.used);
      replyHeaders.set(one.limitName, one.shown);
      replyHeaders.set(one.leftName, String(left));
      if (left <= least) [tightest, least] = [i, left];
    }
    const [one, window] = [told[tightest], windows[tightest]];
    if (one === undefined || window === undefined) return undefined;
    const reset = String(secondsLeft(window, now));
    replyHeaders.set('RateLimit-Limit', one.shown);
    replyHeaders.set('RateLimit-Remaining', String(least));
    replyHeaders.set('RateLimit-Reset', reset);
    return reset;
  };
}
