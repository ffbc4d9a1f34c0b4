import { compilePattern, type Regex } from '../../shared/atc/regex.ts';
import type { AiPromptGuardConfig } from '../../shared/plugins/ai-prompt-guard.ts';
import { isRecord, type Row } from '../../shared/record.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { openAiPayload } from './llm/native-formats.ts';
import { modelError, readPayload } from './llm/payload.ts';
import type { Plugin } from './runtime/plugin.ts';

/** Lets prompts through by patterns. Clients are not told which, nor that there are any. */
const aiPromptGuard: Plugin<AiPromptGuardConfig> = {
  name: 'ai-prompt-guard',
  version: KONG_VERSION,
  priority: 771,
  compile(config) {
    const { allow_patterns, deny_patterns, match_all_roles, max_request_body_size, llm_format } = config;
    const allowed = (allow_patterns ?? []).map(compiled);
    const denied = (deny_patterns ?? []).map(compiled);
    const scope = { latestOnly: config.allow_all_conversation_history, allRoles: match_all_roles };

    const passes = (payload: Row | null): boolean => {
      const prompt = payload === null ? null : promptOf(payload, scope);
      if (prompt === null || denied.some((pattern) => pattern.test(prompt))) return false;
      return allowed.length === 0 || allowed.some((pattern) => pattern.test(prompt));
    };
    return {
      async access(request) {
        const payload = openAiPayload(await readPayload(request, max_request_body_size ?? 0), llm_format);
        return passes(payload) ? undefined : modelError(request, 400, 'bad request');
      },
    };
  },
};

export default aiPromptGuard;

/** What the patterns are to match: the newest message first, a blank behind each unless it is the only one. Null: no prompt. */
function promptOf(
  { messages, prompt }: Row,
  { latestOnly, allRoles }: { readonly latestOnly: boolean; readonly allRoles: boolean },
): string | null {
  if (!Array.isArray(messages)) return typeof prompt === 'string' && messages === undefined ? prompt : null;
  let text = '';
  for (const message of messages.toReversed()) {
    if (!isRecord(message) || typeof message.role !== 'string') return null;
    if (message.role !== 'user' && !allRoles) continue;
    if (typeof message.content !== 'string') return null;
    text += message.content;
    if (latestOnly) break;
    text += ' ';
  }
  return text;
}

function compiled(pattern: string): Regex {
  const outcome = compilePattern(pattern);
  if (!outcome.ok) throw new Error(`'${pattern}' is no regular expression: ${outcome.problem}`);
  return outcome.regex;
}
