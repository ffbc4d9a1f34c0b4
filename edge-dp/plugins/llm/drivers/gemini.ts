import { isRecord, type Row, recordOrEmpty } from '../../../../shared/record.ts';
import {
  DONE,
  type Driver,
  decoded,
  eventData,
  records,
  TranslationProblem,
  textOf,
  usage,
  withOptions,
} from '../driver.ts';

/** Google's Gemini, public and on Vertex. */
export const gemini: Driver = {
  request(given, model, operation) {
    if (operation !== 'llm/v1/chat') return null;
    const payload = withOptions(given, model);
    const messages = records(payload.messages);
    const system = messages.filter(({ role }) => role === 'system').map(({ content }) => textOf(content) ?? '');
    if (system.length > 0 && model.name?.startsWith('gemini-1.0') === true) {
      throw new TranslationProblem("system prompts aren't supported on gemini-1.0 models");
    }
    const called = new Map(
      messages.flatMap((message) => records(message.tool_calls)).map((call) => [call.id, functionOf(call).name]),
    );
    const tools = records(payload.tools).flatMap((tool) => (isRecord(tool.function) ? [tool.function] : []));
    return {
      contents: messages.flatMap((message, at) => (message.role === 'system' ? [] : [content(message, at, called)])),
      ...(system.length > 0 && { systemInstruction: { parts: [{ text: system.join('') }] } }),
      generationConfig: {
        maxOutputTokens: payload.max_tokens,
        stopSequences: payload.stop,
        temperature: payload.temperature,
        topK: payload.top_k,
        topP: payload.top_p,
      },
      ...(tools.length > 0 && { tools: [{ function_declarations: tools }] }),
      tool_config: payload.tool_config,
    };
  },

  answer(text, model) {
    const answer = recordOrEmpty(decoded(text, 'failed to decode response from Gemini'));
    const [candidate] = records(answer.candidates);
    if (candidate === undefined) {
      throw new TranslationProblem('no generation candidates received from Gemini, or max_tokens too short');
    }
    const parts = partsOf(candidate);
    const calls = toolCalls(parts);
    const counts = answer.usageMetadata;
    const said = saidIn(parts);
    const reason = textOf(candidate.finishReason)?.toLowerCase();
    const message = { role: 'assistant', content: said, ...(calls.length > 0 && { tool_calls: calls }) };
    return {
      choices: said === undefined && calls.length === 0 ? [] : [{ index: 0, message, finish_reason: reason }],
      object: 'chat.completion',
      model: model.name,
      ...(isRecord(counts) && {
        usage: {
          prompt_tokens: counts.promptTokenCount,
          completion_tokens: counts.candidatesTokenCount,
          total_tokens: counts.totalTokenCount,
        },
      }),
    };
  },

  stream: () => (event) => {
    if (event.data === DONE) return { chunk: DONE };
    const told = recordOrEmpty(eventData(event.data));
    const counts = recordOrEmpty(told.usageMetadata);
    const used = usage(counts.promptTokenCount, counts.candidatesTokenCount);
    const [candidate] = records(told.candidates);
    const parts = candidate === undefined ? [] : partsOf(candidate);
    const said = saidIn(parts);
    const calls = toolCalls(parts);
    if (said === undefined && calls.length === 0) return { chunk: null, usage: used };
    const delta = {
      ...(said !== undefined && { content: said, role: 'assistant' }),
      ...(calls.length > 0 && { tool_calls: calls }),
    };
    return { chunk: { choices: [{ delta, index: 0, finish_reason: candidate?.finishReason }] }, usage: used };
  },
};

/** Whether an answer was stopped for what it says: nothing for a rewritten body. */
export function breachesSafety(answer: unknown): boolean {
  return records(recordOrEmpty(answer).candidates)[0]?.finishReason === 'SAFETY';
}

const ROLES: Readonly<Record<string, string>> = { user: 'user', assistant: 'model' };

function content(message: Row, at: number, called: ReadonlyMap<unknown, unknown>): Row {
  const { role, content: given, tool_calls: calls } = message;
  if (role === 'tool') {
    const name = message.name ?? called.get(message.tool_call_id);
    return { role: 'function', parts: [{ function_response: { name, response: { content: [given] } } }] };
  }
  if (role === 'assistant' && Array.isArray(calls) && calls.length > 0) {
    const parts = records(calls).map((call) => {
      const { name, arguments: args } = functionOf(call);
      return { function_call: { name, args: eventData(textOf(args) ?? '{}') ?? {} } };
    });
    return { role: 'function', parts };
  }
  return { role: ROLES[textOf(role) ?? 'user'] ?? 'user', parts: contentParts(given, at) };
}

function contentParts(given: unknown, at: number): readonly Row[] {
  if (typeof given === 'string') return [{ text: given }];
  // Nothing is no part, as of an answer that was a call alone.
  if (given === null || given === undefined) return [];
  if (!Array.isArray(given) || given.length === 0) {
    throw new TranslationProblem(`message at position ${at + 1} does not match expected array format`);
  }
  return given.map((part: unknown, place) => {
    if (isRecord(part)) return contentPart(part);
    const where = `message at position ${at + 1}, part at position ${place + 1}`;
    throw new TranslationProblem(`${where} does not match expected OpenAI format`);
  });
}

/** Throws Kong's words. */
function contentPart({ type, text, image_url: image }: Row): Row {
  if (type === 'text') {
    if (typeof text === 'string') return { text };
    throw new TranslationProblem("message part type is 'text' but is missing .text block");
  }
  if (type !== 'image_url')
    throw new TranslationProblem(`cannot transform part of type '${String(type)}' to Gemini format`);
  const url = textOf(recordOrEmpty(image).url);
  if (url === undefined)
    throw new TranslationProblem("message part type is 'image_url' but is missing .image_url.url block");
  const [, mimeType, data] = /^data:([^;,]*);base64,(.*)$/s.exec(url) ?? [];
  return data === undefined
    ? { fileData: { fileUri: url, mimeType: 'image/generic' } }
    : { inlineData: { data, mimeType } };
}

function partsOf(candidate: Row): readonly Row[] {
  return records(recordOrEmpty(candidate.content).parts);
}

/** The texts of all parts but of those that a model thought; undefined: there is none. */
function saidIn(parts: readonly Row[]): string | undefined {
  const texts = parts.flatMap(({ text, thought }) => (thought === true ? [] : (textOf(text) ?? [])));
  return texts.length === 0 ? undefined : texts.join('');
}

function toolCalls(parts: readonly Row[]): readonly Row[] {
  return parts.flatMap(({ functionCall: called }) =>
    isRecord(called)
      ? [{ type: 'function', function: { name: called.name, arguments: JSON.stringify(called.args ?? {}) } }]
      : [],
  );
}

function functionOf(call: Row): Row {
  return recordOrEmpty(call.function);
}
