import type { Row } from '../../../shared/record.ts';
import { changeLogEntry } from '../log-entry.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import { slot } from '../runtime/slot.ts';
import type { Operation, Usage } from './driver.ts';
import type { Model } from './model.ts';

/** What an exchange with a model came to, for whoever traces the request. Milliseconds since the epoch. */
export interface ModelCall {
  readonly operation: Operation;
  readonly provider: Model['provider'];
  readonly requestModel: string;
  readonly responseModel: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cost: number;
  readonly start: number;
  readonly end: number;
}

const calls = slot<ModelCall[]>();
/** Tells of a stream that may have broken off; once it has been told, it does nothing. */
const openStreams = slot<() => void>();

type OfRequest = Parameters<typeof calls.get>[0];

/** Those of a request that is over whose statistics are logged. */
export function modelCalls(request: OfRequest): readonly ModelCall[] {
  endModelStream(request);
  return calls.get(request) ?? [];
}

/** `end`: tells what a stream has come to, should nobody have heard of its end when the request is logged. */
export function beginModelStream(request: OfRequest, end: () => void): void {
  openStreams.set(request, end);
}

export function endModelStream(request: OfRequest): void {
  openStreams.get(request)?.();
}

/** Puts JSON into the request's log entry; fields apart by dots. */
export function noteInLog(request: GatewayRequest, path: string, value: unknown): void {
  changeLogEntry(request, { path, value, mode: 'set' });
}

/** An exchange with a model that has ended. */
export interface ModelExchange {
  readonly operation: Operation;
  readonly model: Model;
  /** What the answer calls it. */
  readonly answeredBy: unknown;
  readonly usage: Usage;
  /** Milliseconds from the request to the end of the answer. */
  readonly took: number;
  /** The texts of request and answer, where they are to be logged. */
  readonly payloads: { readonly request: string; readonly response: string } | null;
}

/** Tells of it in the log entry, as Kong does: `ai.<namespace>.meta`, `.usage` and `.payload`. */
export function logExchange(request: GatewayRequest, namespace: string, plugin: string, exchange: ModelExchange): void {
  const { model, usage, took, payloads } = exchange;
  const [prompt, completion] = [usage.prompt ?? 0, usage.completion ?? 0];
  const requestModel = model.name ?? 'UNSPECIFIED';
  const responseModel = exchange.answeredBy ?? requestModel;
  const cost = costOf(model, prompt, completion);
  const perToken = completion > 0 ? took / completion : 0;
  noteInLog(request, `ai.${namespace}.meta`, {
    plugin_id: plugin,
    provider_name: model.provider,
    request_model: requestModel,
    response_model: responseModel,
    llm_latency: took,
    ...azureMeta(model),
  });
  noteInLog(request, `ai.${namespace}.usage`, {
    // The transformers tell whole milliseconds.
    time_per_token: namespace === 'proxy' ? perToken : Math.floor(perToken),
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    cost,
  });
  if (payloads !== null) noteInLog(request, `ai.${namespace}.payload`, payloads);
  const end = Date.now();
  const call: ModelCall = {
    operation: exchange.operation,
    provider: model.provider,
    requestModel,
    responseModel: String(responseModel),
    promptTokens: prompt,
    completionTokens: completion,
    cost,
    start: end - took,
    end,
  };
  calls.set(request, [...(calls.get(request) ?? []), call]);
}

function azureMeta({ provider, options }: Model): Row {
  if (provider !== 'azure') return {};
  return {
    azure_instance_id: options?.azure_instance,
    azure_deployment_id: options?.azure_deployment_id,
    azure_api_version: options?.azure_api_version,
  };
}

/** Costs are configured for a million tokens. */
function costOf({ options }: Model, prompt: number, completion: number): number {
  const [input, output] = [options?.input_cost ?? null, options?.output_cost ?? null];
  return input === null || output === null ? 0 : (prompt * input + completion * output) / 1_000_000;
}
