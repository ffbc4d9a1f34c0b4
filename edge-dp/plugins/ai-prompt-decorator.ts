import type { AiPromptDecoratorConfig } from '../../shared/plugins/ai-prompt-decorator.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { openAiPayload } from './llm/native-formats.ts';
import { modelError, readPayload, writePayload } from './llm/payload.ts';
import type { Plugin } from './runtime/plugin.ts';

/** Puts messages of the operator before and behind those of a chat. The rest of the body stays: Kong loses what is no list or object. */
const aiPromptDecorator: Plugin<AiPromptDecoratorConfig> = {
  name: 'ai-prompt-decorator',
  version: KONG_VERSION,
  priority: 772,
  compile({ prompts, max_request_body_size, llm_format }) {
    const [before, behind] = [prompts?.prepend ?? [], prompts?.append ?? []].map((messages) =>
      messages.map(({ role, content }) => ({ role, content })),
    );
    return {
      async access(request) {
        const payload = openAiPayload(await readPayload(request, max_request_body_size ?? 0), llm_format);
        const messages = payload?.messages;
        if (!Array.isArray(messages) || messages.length === 0) {
          return modelError(request, 400, 'this LLM route only supports llm/chat type requests');
        }
        const rest = llm_format === 'gemini' || llm_format === 'bedrock' ? {} : payload;
        await writePayload(request, { ...rest, messages: [...(before ?? []), ...messages, ...(behind ?? [])] });
        return undefined;
      },
    };
  },
};

export default aiPromptDecorator;
