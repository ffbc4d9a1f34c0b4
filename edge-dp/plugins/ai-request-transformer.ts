import type { AiRequestTransformerConfig } from '../../shared/plugins/ai-request-transformer.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { modelError } from './llm/payload.ts';
import { compileRewriter, RewriteFailure } from './llm/rewriter.ts';
import type { Plugin } from './runtime/plugin.ts';

/** Lets a model rewrite the bodies of requests, whatever they are. */
const aiRequestTransformer: Plugin<AiRequestTransformerConfig> = {
  name: 'ai-request-transformer',
  version: KONG_VERSION,
  priority: 777,
  compile(config, place, services) {
    const rewriter = compileRewriter('ai-request-transformer', config, place, services);
    // Kong holds as much in memory.
    const limit = Math.max(config.max_request_body_size ?? 0, 8192);
    return {
      async access(request) {
        const body = await request.body.read(limit);
        if (body === null) return modelError(request, 413, `the request body is longer than ${limit} bytes`);
        try {
          request.body.replace(await rewriter.rewrite(request, TEXT.decode(body)));
          return undefined;
        } catch (error) {
          if (error instanceof RewriteFailure) return modelError(request, 400, error.message);
          throw error;
        }
      },
    };
  },
};

export default aiRequestTransformer;

const TEXT = new TextDecoder();
