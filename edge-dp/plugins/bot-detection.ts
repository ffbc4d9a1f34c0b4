import { compilePattern, type Regex } from '../../shared/atc/regex.ts';
import type { BotDetectionConfig } from '../../shared/plugins/bot-detection.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { isKnownBot } from './known-bots.ts';
import type { Plugin } from './runtime/plugin.ts';
import { Recent } from './runtime/recent.ts';

/** Refuses bots by their User-Agent: those that are denied, and known ones, unless they are allowed. */
const botDetection: Plugin<BotDetectionConfig> = {
  name: 'bot-detection',
  version: KONG_VERSION,
  priority: 2500,
  compile({ allow, deny }) {
    const allowed = (allow ?? []).map(compiled);
    const denied = (deny ?? []).map(compiled);
    // The platform compiles a pattern when it first matches.
    isKnownBot('');
    const verdicts = new Recent<boolean>(REMEMBERED);

    const isRefused = (userAgent: string): boolean =>
      !allowed.some((pattern) => pattern.test(userAgent)) &&
      (denied.some((pattern) => pattern.test(userAgent)) || isKnownBot(userAgent));

    return {
      access(request) {
        const userAgent = request.headers.get('user-agent');
        if (userAgent === null) return undefined;
        let refused = verdicts.get(userAgent);
        if (refused === undefined) {
          if (isSeveral(userAgent)) return request.error(400, 'Only one User-Agent header allowed');
          refused = isRefused(userAgent);
          if (userAgent.length <= LONGEST_REMEMBERED) verdicts.keep(userAgent, refused);
        }
        return refused ? request.error(403) : undefined;
      },
    };
  },
};

export default botDetection;

/** User-Agents a configuration knows its verdict of, and how many characters those have at most. */
const REMEMBERED = 1000;
const LONGEST_REMEMBERED = 512;

function compiled(pattern: string): Regex {
  const outcome = compilePattern(pattern);
  if (!outcome.ok) throw new Error(`'${pattern}' is no regular expression: ${outcome.problem}`);
  return outcome.regex;
}

/**
 * Whether it is several lines, which the runtime joins with `, `: within one line a comma stands in comments only (RFC 9110 section
 * 10.1.5).
 */
function isSeveral(userAgent: string): boolean {
  let depth = 0;
  for (let at = 0; at < userAgent.length; at++) {
    switch (userAgent[at]) {
      case '\\':
        at++;
        break;
      case '(':
        depth++;
        break;
      case ')':
        if (depth > 0) depth--;
        break;
      case ',':
        if (depth === 0 && userAgent[at + 1] === ' ') return true;
    }
  }
  return false;
}
