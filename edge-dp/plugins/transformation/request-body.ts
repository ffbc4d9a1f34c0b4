import type { Answer } from '../runtime/plugin.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import { FormParameters } from './form-parameters.ts';
import { JsonParameters } from './json-parameters.ts';
import { BoundaryInValue, MultipartParameters } from './multipart-parameters.ts';
import { changeParameters, type ParameterRules } from './parameters.ts';

/** Longer bodies that are to be changed are refused: passed on unchanged they would evade the rules. */
export const BODY_LIMIT = 10 * 1024 * 1024;

export type BodyKind = 'json' | 'multipart' | 'form';

/** What a body can be changed as, by its Content-Type; null: not at all. A body in a content coding cannot. */
export function bodyKind({ headers }: GatewayRequest): BodyKind | null {
  const type = headers.get('content-type')?.toLowerCase();
  if (type === undefined || isCoded(headers.get('content-encoding'))) return null;
  if (type.includes('application/json')) return 'json';
  if (type.includes('multipart/form-data')) return 'multipart';
  return type.includes('application/x-www-form-urlencoded') ? 'form' : null;
}

function isCoded(coding: string | null): boolean {
  return coding !== null && coding !== '' && coding.toLowerCase() !== 'identity';
}

/** Changes a body of that kind; one that is not what its type says stays as it is. Gives an answer where it cannot be done. */
export async function changeBody(
  request: GatewayRequest,
  kind: BodyKind,
  rules: ParameterRules,
): Promise<Answer | undefined> {
  const body = await request.body.read(BODY_LIMIT);
  if (body === null) return request.error(413);
  try {
    const changed = changedBody(kind, request.headers.get('content-type') ?? '', body, rules);
    if (changed !== null) request.body.replace(changed);
    return undefined;
  } catch (error) {
    if (error instanceof BoundaryInValue) return request.error(400);
    throw error;
  }
}

/** Null: nothing was to be changed. */
function changedBody(
  kind: BodyKind,
  contentType: string,
  body: Uint8Array,
  rules: ParameterRules,
): Uint8Array | string | null {
  const parameters = read(kind, contentType, body);
  if (parameters === null) return null;
  const { add, append } = rules;
  const applicable = body.length > 0 ? rules : { remove: [], rename: [], replace: [], add, append };
  return change(parameters, applicable) ? parameters.encode() : null;
}

function read(kind: BodyKind, contentType: string, body: Uint8Array) {
  switch (kind) {
    case 'json':
      return JsonParameters.read(body, false);
    case 'multipart':
      return MultipartParameters.read(contentType, body);
    case 'form':
      return new FormParameters(body);
  }
}

/** Parts of a multipart body are renamed before others are removed, as in Kong. */
function change(parameters: FormParameters | JsonParameters | MultipartParameters, rules: ParameterRules): boolean {
  if (!(parameters instanceof MultipartParameters)) return changeParameters(parameters, rules);
  const { rename, ...others } = rules;
  const renamed = changeParameters(parameters, { rename, remove: [], replace: [], add: [], append: [] });
  return changeParameters(parameters, { ...others, rename: [] }) || renamed;
}
