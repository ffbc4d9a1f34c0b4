/** JSON Schema 2020-12, as OpenAPI 3.1 uses it. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** What an operation's place in the OpenAPI document says beyond what every operation shares. */
export interface OperationDescription {
  readonly summary: string;
  /** The group it is listed under: an entity, or `information`, `cluster`… */
  readonly tag: string;
  readonly query?: readonly QueryParameter[];
  readonly body?: BodyDescription;
  readonly success: {
    readonly status: 200 | 201 | 202 | 204;
    /** Absent: no body. */
    readonly schema?: JsonSchema;
    /** `application/json` when absent. */
    readonly contentType?: string;
  };
  /** A write whose answer tells when it does not reach every data plane. */
  readonly tellsUnreached?: true;
  readonly tellsSerial?: true;
  /** Client errors it can answer with, besides those any operation has. */
  readonly errors?: readonly (304 | 400 | 404 | 405 | 409 | 412 | 429 | 501 | 503 | 504)[];
}

export interface QueryParameter {
  readonly name: string;
  readonly description: string;
  readonly schema: JsonSchema;
}

interface BodyDescription {
  readonly required: boolean;
  readonly schema: JsonSchema;
}

/** The stored form of an entity: what is answered. */
export const rowOf = (entity: string): JsonSchema => ({ $ref: `#/components/schemas/${entity}` });
/** What POST and PUT take. */
export const inputOf = (entity: string): JsonSchema => ({ $ref: `#/components/schemas/${entity}.input` });
/** What PATCH takes: the same with nothing required. */
export const patchOf = (entity: string): JsonSchema => ({ $ref: `#/components/schemas/${entity}.patch` });

/** A page of `items`. */
export const pageOf = (items: JsonSchema): JsonSchema => ({
  type: 'object',
  properties: {
    data: { type: 'array', items },
    next: { type: ['string', 'null'], description: 'Path of the next page.' },
    offset: { type: 'string', description: 'Token of the next page; absent on the last.' },
  },
  required: ['data', 'next'],
});

/** An object with these properties, all present. */
export const objectOf = (properties: Readonly<Record<string, JsonSchema>>): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
});

export const messageSchema: JsonSchema = objectOf({ message: { type: 'string' } });
