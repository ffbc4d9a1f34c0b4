import { isRecord, type Row, recordOrEmpty } from '../../../shared/record.ts';
import type { GatewayRequest } from '../runtime/request.ts';

/** Whose requests clients send (`llm_format`). */
export type LlmFormat = 'openai' | 'gemini' | 'bedrock';

/** A payload of that format as OpenAI would have it, as far as prompts go. */
export function openAiPayload(payload: Row | null, format: string | null): Row | null {
  if (payload === null) return null;
  if (format === 'gemini') return { ...payload, messages: geminiMessages(payload) };
  if (format === 'bedrock') return { ...payload, messages: bedrockMessages(payload) };
  return payload;
}

/** What clients of such a format say in the path: the model, and whether its answer is to be streamed. Null: no model. */
export function nativeCall(
  format: string | null,
  { captures: { named }, rawPath }: Pick<GatewayRequest, 'captures' | 'rawPath'>,
): { readonly model: string | null; readonly stream: boolean } {
  const { pattern, streaming } = format === 'bedrock' ? BEDROCK_CALL : GEMINI_CALL;
  const { model, operation } = named;
  const [, pathModel = model, pathOperation = operation] = pattern.exec(rawPath) ?? [];
  const called = model === undefined || operation === undefined ? pathModel : model;
  const asked = model === undefined || operation === undefined ? pathOperation : operation;
  return { model: called === undefined ? null : unescaped(called), stream: asked === streaming };
}

const GEMINI_CALL = { pattern: /\/models\/([^:]+):([^/]+)$/, streaming: 'streamGenerateContent' };
const BEDROCK_CALL = { pattern: /\/model\/([^/]+)\/([^/]+)$/, streaming: 'converse-stream' };

/** As it is where it is badly escaped: no model is called so. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function geminiMessages({ systemInstruction, system_instruction, contents }: Row): readonly Row[] {
  const system = systemInstruction ?? system_instruction;
  const turns = Array.isArray(contents) ? contents : contents === undefined ? [] : [contents];
  return [
    ...(isRecord(system) ? [{ role: 'system', content: textsOf(system.parts) }] : []),
    ...turns.filter(isRecord).map(({ role, parts }) => ({
      role: typeof role === 'string' ? (GEMINI_ROLES[role] ?? role) : 'user',
      content: textsOf(parts),
    })),
  ];
}

const GEMINI_ROLES: Readonly<Record<string, string>> = { human: 'user', model: 'assistant', function: 'tool' };

function bedrockMessages({ system, messages }: Row): readonly Row[] {
  const turns = Array.isArray(messages) ? messages.filter(isRecord) : [];
  return [
    ...(Array.isArray(system) ? [{ role: 'system', content: textsOf(system) }] : []),
    ...turns.map(({ role, content }) => ({ role, content: textsOf(content) })),
  ];
}

/** The texts among the parts of a message. */
function textsOf(parts: unknown): string {
  if (typeof parts === 'string') return parts;
  const all = Array.isArray(parts) ? parts : [parts];
  return all.flatMap((part) => partText(recordOrEmpty(part)) ?? []).join('\n');
}

/** Bedrock's `guardContent` is text of the prompt, too. */
function partText({ text, guardContent }: Row): unknown {
  return text ?? recordOrEmpty(recordOrEmpty(guardContent).text).text;
}
