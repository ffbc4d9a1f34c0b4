import type { AiPromptTemplateConfig } from '../../shared/plugins/ai-prompt-template.ts';
import { isRecord } from '../../shared/record.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { noteInLog } from './llm/analytics.ts';
import { modelError, readPayload } from './llm/payload.ts';
import type { Plugin } from './runtime/plugin.ts';

/** Fills what clients send into prompts that the operator wrote. */
const aiPromptTemplate: Plugin<AiPromptTemplateConfig> = {
  name: 'ai-prompt-template',
  version: KONG_VERSION,
  priority: 773,
  compile({ templates, allow_untemplated_requests, log_original_request, max_request_body_size }) {
    // Of several of one name the first counts.
    const byName = new Map(templates.toReversed().map(({ name, template }) => [name, template]));

    return {
      async access(request) {
        const refuse = (message: string) => modelError(request, 400, message);
        if (log_original_request) {
          const bytes = await request.body.read(Math.max(max_request_body_size ?? 0, 8192));
          noteInLog(request, 'ai.payload.original_request', bytes === null ? null : TEXT.decode(bytes));
        }
        const payload = await readPayload(request, max_request_body_size ?? 0);
        if (payload === null) return refuse('this LLM route only supports application/json requests');
        const { messages, prompt, properties } = payload;
        if (isThere(messages) && isThere(prompt)) {
          return refuse("cannot run 'messages' and 'prompt' templates at the same time");
        }
        const reference = isThere(messages) ? messages : prompt;
        if (!isThere(reference)) {
          return refuse("only 'llm/v1/chat' and 'llm/v1/completions' formats are supported for templating");
        }
        const name = referenceName(reference);
        if (name === null) {
          return allow_untemplated_requests ? undefined : refuse('this LLM route only supports templated requests');
        }
        const template = byName.get(name);
        if (template === undefined) return refuse(`could not find template name [${name}]`);
        const outcome = fill(template, isThere(properties) ? properties : {});
        if ('problem' in outcome) return refuse(outcome.problem);
        request.body.replace(outcome.text);
        return undefined;
      },
    };
  },
};

export default aiPromptTemplate;

/** Neither absent nor false, as Lua sees it. */
function isThere(value: unknown): boolean {
  return value !== undefined && value !== false;
}

/** `{template://name}`; null for anything else. */
function referenceName(reference: unknown): string | null {
  return typeof reference === 'string' ? (/^\{template:\/\/(.*)\}$/s.exec(reference)?.[1] ?? null) : null;
}

/** The template with each `{{name}}` filled in, so that it cannot leave its text of JSON. */
function fill(template: string, properties: unknown): { readonly text: string } | { readonly problem: string } {
  if (!isRecord(properties)) return { problem: 'properties must be an object' };
  const texts = new Map<string, string>();
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value !== 'string') return { problem: `property values must be a string, got ${luaType(value)}` };
    texts.set(name, JSON.stringify(value).slice(1, -1));
  }
  const missing = new Set<string>();
  const text = template.replace(PLACE, (place, name: string) => {
    const value = texts.get(name);
    if (value === undefined) missing.add(`[${name}]`);
    return value ?? place;
  });
  return missing.size === 0 ? { text } : { problem: `missing template parameters: ${[...missing].join(', ')}` };
}

const PLACE = /\{\{([A-Za-z0-9_]+)\}\}/g;

/** As Kong calls it. */
function luaType(value: unknown): string {
  if (value === null) return 'userdata';
  return typeof value === 'object' ? 'table' : typeof value;
}

const TEXT = new TextDecoder();
