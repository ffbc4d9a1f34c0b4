import type { Row } from '../../../shared/record.ts';
import type { Model, RouteType } from './model.ts';

/** A request that may not be sent, in Kong's words for the client. */
export class RefusedPayload extends Error {
  override readonly name = 'RefusedPayload';
}

interface Wanted {
  readonly model: Model;
  readonly route: RouteType;
  /** `response_streaming`. */
  readonly streams: string | null;
}

/** The request with `stream` decided, and the model with its name. Throws `RefusedPayload`. */
export function checkedPayload(
  payload: Row,
  { model, route, streams }: Wanted,
): { readonly model: Model; readonly payload: Row } {
  if (route !== 'preserve' && !hasChat(payload) && !hasPrompt(payload)) {
    throw new RefusedPayload("request body doesn't contain valid prompts");
  }
  const own = typeof payload.model === 'string' && payload.model !== '' ? payload.model : null;
  const name = model.name ?? own;
  if (own !== null && own !== name) throw new RefusedPayload(`cannot use own model - must be: ${name}`);
  if (name === null && route !== 'preserve') {
    throw new RefusedPayload('model parameter not found in request, nor in gateway configuration');
  }
  if (route !== 'preserve') checkRoute(payload, route);
  const stream = isThere(payload.stream) || streams === 'always';
  if (stream && streams === 'deny') throw new RefusedPayload('response streaming is not enabled for this LLM');
  const { stream: _, ...others } = payload;
  return { model: name === model.name ? model : { ...model, name }, payload: stream ? { ...others, stream } : others };
}

function checkRoute(payload: Row, route: RouteType): void {
  if (hasChat(payload) && hasPrompt(payload)) throw new RefusedPayload('request matches multiple LLM request formats');
  const format = hasChat(payload) ? 'llm/v1/chat' : 'llm/v1/completions';
  if (format !== route) {
    throw new RefusedPayload(`[${format}] message format is not compatible with [${route}] route type`);
  }
}

function hasChat({ messages }: Row): boolean {
  return Array.isArray(messages) && messages.length > 0;
}

function hasPrompt({ prompt }: Row): boolean {
  return typeof prompt === 'string';
}

/** As Lua sees it: null is something. */
function isThere(value: unknown): boolean {
  return value !== undefined && value !== false && value !== null;
}
