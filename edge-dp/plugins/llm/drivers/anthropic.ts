import { isRecord, type Row, recordOrEmpty } from '../../../../shared/record.ts';
import {
  DONE,
  type Driver,
  decoded,
  eventData,
  isStream,
  openAiUsage,
  records,
  TranslationProblem,
  textOf,
  usage,
  withOptions,
} from '../driver.ts';

/** Anthropic's messages and, for completions, its texts. */
export const anthropic: Driver = {
  request(payload, model, operation) {
    const { temperature, max_tokens } = withOptions(payload, model);
    const common = { temperature, model: model.name ?? payload.model, stream: isStream(payload) };
    if (operation === 'llm/v1/completions') {
      return { ...common, prompt: `Human: ${String(payload.prompt)}\n\nAssistant:`, max_tokens_to_sample: max_tokens };
    }
    const messages = records(payload.messages);
    const system = messages.findLast(({ role }) => !ROLES.has(String(role)));
    return {
      ...common,
      max_tokens,
      messages: messages.filter(({ role }) => ROLES.has(String(role))).map(claudeMessage),
      system: system?.content,
      tools: payload.tools === undefined ? undefined : claudeTools(payload.tools),
      tool_choice: payload.tool_choice,
    };
  },

  answer(text, _model, operation) {
    const answer = recordOrEmpty(decoded(text, 'failed to decode anthropic response'));
    if (operation === 'llm/v1/completions') {
      if (answer.completion === undefined) {
        throw new TranslationProblem("'completion' not in anthropic://llm/v1/chat response");
      }
      const choice = { index: 0, text: answer.completion, finish_reason: answer.stop_reason };
      return { choices: [choice], model: answer.model, object: 'text_completion' };
    }
    if (!Array.isArray(answer.content)) {
      throw new TranslationProblem("'content' not in anthropic://llm/v1/chat response");
    }
    const content = records(answer.content);
    const calls = content.filter(({ type }) => type === 'tool_use').map(toolCall);
    const message = {
      role: 'assistant',
      content: content.flatMap(({ text: part }) => textOf(part) ?? []).join('\n'),
      ...(calls.length > 0 && { tool_calls: calls }),
    };
    const { usage: used } = answer;
    return {
      choices: [{ index: 0, message, finish_reason: answer.stop_reason }],
      usage: isRecord(used)
        ? openAiUsage(used.input_tokens, used.output_tokens)
        : 'no usage data returned from upstream',
      model: answer.model,
      object: 'chat.completion',
    };
  },

  stream(model, operation) {
    if (operation !== 'llm/v1/chat') return null;
    let id: unknown;
    const chunk = (delta: Row, more: Row = {}): Row => ({
      choices: [{ delta, index: 0, logprobs: null, ...more }],
      id,
      model: model.name,
      object: 'chat.completion.chunk',
    });
    return ({ event, data }) => {
      const told = recordOrEmpty(eventData(data));
      const used = recordOrEmpty(told.usage);
      switch (event ?? told.type) {
        case 'message_start': {
          const message = recordOrEmpty(told.message);
          const counts = recordOrEmpty(message.usage);
          id = message.id;
          return {
            chunk: { ...chunk({ content: '', role: message.role }), system_fingerprint: null },
            usage: usage(counts.input_tokens, counts.output_tokens),
          };
        }
        case 'content_block_start':
          return { chunk: chunk({ content: '' }, { finish_reason: null }) };
        case 'content_block_delta': {
          const content = textOf(recordOrEmpty(told.delta).text) ?? '';
          return { chunk: chunk({ content }, { finish_reason: null }) };
        }
        case 'message_delta':
          return { chunk: null, usage: usage(undefined, used.output_tokens) };
        case 'message_stop':
          return { chunk: DONE };
        default:
          return { chunk: null };
      }
    };
  },
};

/** All others are what the system says. */
const ROLES: ReadonlySet<string> = new Set(['assistant', 'user', 'tool']);

function claudeMessage(message: Row): Row {
  const { role, content, tool_calls: calls, tool_call_id: id } = message;
  if (role === 'assistant' && Array.isArray(calls)) {
    return { role, content: records(calls).map(toolUse) };
  }
  if (role !== 'tool') return message;
  return { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content }] };
}

function toolUse({ id, function: called }: Row): Row {
  const { name, arguments: given } = recordOrEmpty(called);
  return { type: 'tool_use', id, name, input: eventData(textOf(given) ?? '') };
}

function toolCall({ id, name, input }: Row): Row {
  return { id, type: 'function', function: { name, arguments: JSON.stringify(input) } };
}

function claudeTools(tools: unknown): readonly Row[] {
  return records(tools).flatMap(({ function: offered }) => {
    if (!isRecord(offered)) return [];
    const { parameters, ...others } = offered;
    return [{ ...others, input_schema: parameters }];
  });
}
