import { compilePattern, type Regex } from '../../shared/atc/regex.ts';
import type { AiPromptGuardConfig } from '../../shared/plugins/ai-prompt-guard.ts';
import { isRecord, type Row } from '../../shared/record.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { openAiPayload } from './llm/native-formats.ts';
import { hasRepeatedMembers, modelError, readPayload } from './llm/payload.ts';
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

    const passes = (prompt: string): boolean =>
      !denied.some((pattern) => pattern.test(prompt)) &&
      (allowed.length === 0 || allowed.some((pattern) => pattern.test(prompt)));
    return {
      async access(request) {
        const read = await readPayload(request, max_request_body_size ?? 0);
        const payload = openAiPayload(read, llm_format);
        const prompts = payload === null ? null : promptsOf(payload, scope);
        const passed = read !== null && prompts?.every(passes) === true;
        // A body may go on as it came: of two prompts a model may then read the one that was not looked at.
        if (passed && !(await hasRepeatedMembers(request, read))) return undefined;
        return modelError(request, 400, 'bad request');
      },
    };
  },
};

export default aiPromptGuard;

interface Scope {
  readonly latestOnly: boolean;
  readonly allRoles: boolean;
}

/** What the patterns are to match, each by itself: models are asked by either, and what is sent beside messages is sent, too. Null: no prompt. */
function promptsOf({ messages, prompt }: Row, scope: Scope): readonly string[] | null {
  if (messages === undefined) return typeof prompt === 'string' ? [prompt] : null;
  if (!Array.isArray(messages)) return null;
  const chat = chatOf(messages, scope);
  if (chat === null) return null;
  if (prompt === undefined || prompt === null) return [chat];
  if (typeof prompt !== 'string') return null;
  return messages.length === 0 ? [prompt] : [chat, prompt];
}

/** The newest message first, a blank behind each unless it is the only one. Null: one of them cannot be looked at. */
function chatOf(messages: readonly unknown[], { latestOnly, allRoles }: Scope): string | null {
  let text = '';
  for (const message of messages.toReversed()) {
    if (!isRecord(message) || typeof message.role !== 'string') return null;
    if (OTHERS.has(message.role) && !allRoles) continue;
    if (typeof message.content !== 'string') return null;
    text += message.content;
    if (latestOnly) break;
    text += ' ';
  }
  return text;
}

/** Those who are no users. Most providers are told that any other role is one. */
const OTHERS: ReadonlySet<string> = new Set(['assistant', 'developer', 'function', 'model', 'system', 'tool']);

function compiled(pattern: string): Regex {
  const outcome = compilePattern(pattern);
  if (!outcome.ok) throw new Error(`'${pattern}' is no regular expression: ${outcome.problem}`);
  return outcome.regex;
}
