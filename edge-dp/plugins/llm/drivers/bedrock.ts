import { isRecord, type Row, recordOrEmpty } from '../../../../shared/record.ts';
import {
  DONE,
  type Driver,
  decoded,
  errorEvent,
  eventData,
  records,
  type TranslatedEvent,
  TranslationProblem,
  textOf,
  usage,
  withOptions,
} from '../driver.ts';

/** Amazon Bedrock's Converse. Events of a stream are its messages as JSON: `{headers, body}`. */
export const bedrock: Driver = {
  request(given, model, operation) {
    if (operation !== 'llm/v1/chat') return null;
    const payload = withOptions(given, model);
    const messages = records(payload.messages);
    const system = messages.filter(({ role }) => role === 'system').map(({ content }) => ({ text: content }));
    if (system.length > 0 && !takesSystemPrompts(model.name)) {
      throw new TranslationProblem(`system prompts are unsupported for model '${model.name}`);
    }
    const extra = recordOrEmpty(payload.bedrock);
    const tools = records(payload.tools).flatMap((tool) => (isRecord(tool.function) ? [toolSpec(tool.function)] : []));
    return {
      anthropic_version: model.options?.anthropic_version ?? 'bedrock-2023-05-31',
      messages: messages.filter(({ role }) => role !== 'system').map(converseMessage),
      ...(system.length > 0 && { system }),
      inferenceConfig: {
        maxTokens: payload.max_tokens,
        stopSequences: payload.stop,
        temperature: payload.temperature,
        topP: payload.top_p,
      },
      guardrailConfig: payload.guardrailConfig,
      toolConfig: tools.length > 0 ? { tools } : extra.toolConfig,
      additionalModelRequestFields: extra.additionalModelRequestFields,
    };
  },

  answer(text, model) {
    const answer = recordOrEmpty(decoded(text, 'failed to decode response from Bedrock'));
    const content = records(recordOrEmpty(recordOrEmpty(answer.output).message).content);
    if (content.length === 0) {
      throw new TranslationProblem('no generation candidates received from Bedrock, or max_tokens too short');
    }
    const calls = content.flatMap(({ toolUse }) => (isRecord(toolUse) ? [toolCall(toolUse)] : []));
    const texts = content.flatMap(({ text: part }) => textOf(part) ?? []);
    const message = {
      role: 'assistant',
      content: texts.length === 0 ? undefined : texts.join(''),
      ...(calls.length > 0 && { tool_calls: calls }),
    };
    const counts = answer.usage;
    return {
      choices: [{ index: 0, message, finish_reason: reasonOf(answer.stopReason) }],
      object: 'chat.completion',
      model: model.name,
      ...(isRecord(counts) && {
        usage: {
          prompt_tokens: counts.inputTokens,
          completion_tokens: counts.outputTokens,
          total_tokens: counts.totalTokens,
        },
      }),
      trace: answer.trace,
    };
  },

  stream: (model) => (event) => {
    const { headers, body } = recordOrEmpty(eventData(event.data));
    const told = recordOrEmpty(eventData(textOf(body) ?? ''));
    const problem = problemOf(recordOrEmpty(headers), told);
    if (problem !== null) return problem;
    const chunk = (delta: Row, more: Row = { system_fingerprint: null }): Row => ({
      choices: [{ delta, index: 0, logprobs: null }],
      model: model.name,
      object: 'chat.completion.chunk',
      ...more,
    });
    const index = told.contentBlockIndex;
    switch (recordOrEmpty(headers)[':event-type']) {
      case 'messageStart':
        return { chunk: chunk({ content: '', role: told.role }) };
      case 'contentBlockStart': {
        const { toolUse } = recordOrEmpty(told.start);
        if (!isRecord(toolUse)) return { chunk: null };
        const call = { index, id: toolUse.toolUseId, function: { name: toolUse.name, arguments: '' } };
        return { chunk: chunk({ tool_calls: [call] }) };
      }
      case 'contentBlockDelta': {
        const { toolUse, text } = recordOrEmpty(told.delta);
        if (!isRecord(toolUse)) return { chunk: chunk({ content: textOf(text) ?? '' }) };
        return { chunk: chunk({ tool_calls: [{ index, function: { arguments: toolUse.input } }] }) };
      }
      case 'messageStop': {
        const choice = { delta: {}, index: 0, finish_reason: reasonOf(told.stopReason), logprobs: null };
        return { chunk: { choices: [choice], model: model.name, object: 'chat.completion.chunk' } };
      }
      case 'metadata': {
        const counts = recordOrEmpty(told.usage);
        return { chunk: DONE, usage: usage(counts.inputTokens, counts.outputTokens) };
      }
      default:
        return { chunk: null };
    }
  },
};

/** Null: the message is none that tells what went wrong. */
function problemOf(headers: Row, { message }: Row): TranslatedEvent | null {
  switch (headers[':message-type']) {
    case 'exception':
      return errorEvent({ message, type: headers[':exception-type'] });
    case 'error':
      return errorEvent({ message: headers[':error-message'], type: headers[':error-code'] });
    default:
      return null;
  }
}

const NO_SYSTEM_PROMPTS =
  /amazon.titan-|cohere.command-text-|cohere.command-light-text-|mistral.mistral-7b-instruct-|mistral.mixtral-8x7b-instruct-/;

/** Whether the model may be told what the system says. */
export function takesSystemPrompts(name: string | null): boolean {
  return name === null || !NO_SYSTEM_PROMPTS.test(name);
}

function converseMessage(message: Row): Row {
  const { role, content, tool_calls: calls } = message;
  if (role === 'tool') {
    const result = eventData(textOf(content) ?? '');
    if (result === null) {
      throw new TranslationProblem('failed to decode function response arguments, not JSON format');
    }
    const json = typeof result === 'object' ? result : { result };
    const toolResult = { toolUseId: message.tool_call_id, content: [{ json }], status: message.status };
    return { role: 'user', content: [{ toolResult }] };
  }
  const told =
    Array.isArray(content) || isRecord(content)
      ? content
      : Array.isArray(calls)
        ? records(calls).map(toolUse)
        : [{ text: content ?? '' }];
  return { role: role === 'assistant' ? 'assistant' : 'user', content: told };
}

function toolUse({ id, function: called }: Row): Row {
  const { name, arguments: args } = recordOrEmpty(called);
  const input = eventData(textOf(args) ?? '');
  if (input === null) {
    throw new TranslationProblem(
      "failed to decode function response arguments from assistant's message, not JSON format",
    );
  }
  return { toolUse: { toolUseId: id, name, input } };
}

function toolSpec({ name, description, parameters }: Row): Row {
  return { toolSpec: { name, description, inputSchema: { json: parameters } } };
}

function toolCall({ toolUseId, name, input }: Row): Row {
  const given = isRecord(input) && Object.keys(input).length > 0 ? JSON.stringify(input) : undefined;
  return { id: toolUseId, type: 'function', function: { name, arguments: given } };
}

const REASONS: Readonly<Record<string, string>> = {
  max_tokens: 'length',
  end_turn: 'stop',
  tool_use: 'tool_calls',
  guardrail_intervened: 'guardrail_intervened',
};

function reasonOf(reason: unknown): string {
  return REASONS[textOf(reason) ?? ''] ?? 'stop';
}
