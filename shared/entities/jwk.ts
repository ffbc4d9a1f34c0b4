import { compileRule } from '../schema/rules.ts';
import { defineField, type FieldErrors } from '../schema/vocabulary.ts';

const text = defineField({ type: 'string', required: false });
const texts = defineField({ type: 'array', required: false, elements: { type: 'string', required: false } });

/** The members a JWK may have (RFC 7517, RFC 7518). */
const jwk = defineField({
  type: 'record',
  required: false,
  fields: {
    issuer: text,
    kty: text,
    use: text,
    key_ops: texts,
    alg: text,
    kid: { type: 'string', required: true },
    x5u: text,
    x5c: texts,
    x5t: text,
    'x5t#S256': text,
    k: text,
    x: text,
    y: text,
    crv: text,
    n: text,
    e: text,
    d: text,
    p: text,
    q: text,
    dp: text,
    dq: text,
    qi: text,
    oth: text,
    r: text,
    t: text,
  },
});

const rule = compileRule(jwk);

/** One line that lists what is wrong with a JWK's members. */
export function jwkSchemaError(value: Readonly<Record<string, unknown>>): string | undefined {
  const errors = rule(value);
  if (errors === undefined) return undefined;
  return typeof errors === 'string' || Array.isArray(errors) ? String(errors) : summary(errors);
}

function summary(errors: FieldErrors): string {
  const lines = Object.entries(errors).map(
    ([field, error]) => `${field}: ${JSON.stringify(error).replace(/^"|"$/g, '')}`,
  );
  return `Validation error: ${lines.join('; ')}`;
}
