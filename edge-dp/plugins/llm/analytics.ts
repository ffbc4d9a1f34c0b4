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

/** Tells of what ai-proxy asked in the log entry, as Kong does: `ai.proxy.meta`, `.usage` and `.payload`. */
export function logProxied(request: GatewayRequest, plugin: string, exchange: ModelExchange): void {
  const { model, usage, took } = exchange;
  const [prompt, completion] = [usage.prompt ?? 0, usage.completion ?? 0];
  const requestModel = nameOf(model);
  noteExchange(request, 'proxy', exchange, {
    meta: metaOf(plugin, requestModel, requestModel, exchange),
    usage: {
      time_per_token: completion > 0 ? took / completion : 0,
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
      cost: costOf(model, prompt, completion) ?? 0,
    },
  });
}

/** The same of what one of the transformers, `namespace`, asked: its usage has only what is known. */
export function logTransformed(
  request: GatewayRequest,
  namespace: string,
  plugin: string,
  exchange: ModelExchange,
): void {
  const { model, usage, took } = exchange;
  const { prompt, completion } = usage;
  const both = prompt !== null && completion !== null;
  const cost = both ? costOf(model, prompt, completion) : null;
  noteExchange(request, namespace, exchange, {
    // The model of the request is that of ai-proxy alone.
    meta: metaOf(plugin, asked.get(request) ?? UNSPECIFIED, nameOf(model), exchange),
    usage: {
      ...(completion !== null && { time_per_token: completion > 0 ? Math.floor(took / completion) : 0 }),
      ...(prompt !== null && { prompt_tokens: prompt }),
      ...(completion !== null && { completion_tokens: completion }),
      ...(both && { total_tokens: prompt + completion }),
      ...(cost !== null && { cost }),
    },
    cache: {},
  });
}

/** Says which model ai-proxy asks. */
export function noteAsked(request: GatewayRequest, model: Model): void {
  asked.set(request, nameOf(model));
}

const asked = slot<string>();
const UNSPECIFIED = 'UNSPECIFIED';

function nameOf({ name }: Model): string {
  return name ?? UNSPECIFIED;
}

function metaOf(plugin: string, requestModel: string, byDefault: string, exchange: ModelExchange): Row {
  const { model, answeredBy, took } = exchange;
  return {
    plugin_id: plugin,
    provider_name: model.provider,
    request_model: requestModel,
    response_model: answeredBy ?? byDefault,
    llm_latency: took,
    ...azureMeta(model),
  };
}

function noteExchange(
  request: GatewayRequest,
  namespace: string,
  { operation, model, answeredBy, usage, took, payloads }: ModelExchange,
  parts: Readonly<Record<string, Row>>,
): void {
  for (const [part, told] of Object.entries(parts)) noteInLog(request, `ai.${namespace}.${part}`, told);
  if (payloads !== null) noteInLog(request, `ai.${namespace}.payload`, payloads);
  const end = Date.now();
  const [prompt, completion] = [usage.prompt ?? 0, usage.completion ?? 0];
  const call: ModelCall = {
    operation,
    provider: model.provider,
    requestModel: nameOf(model),
    responseModel: String(answeredBy ?? nameOf(model)),
    promptTokens: prompt,
    completionTokens: completion,
    cost: costOf(model, prompt, completion) ?? 0,
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

/** Costs are configured for a million tokens; null: none are. */
function costOf({ options }: Model, prompt: number, completion: number): number | null {
  const [input, output] = [options?.input_cost ?? null, options?.output_cost ?? null];
  return input === null || output === null ? null : (prompt * input + completion * output) / 1_000_000;
}
