import { isRecord, type Row, recordOrEmpty } from '../../../../shared/record.ts';
import type { FormField } from './schema.ts';

/** Values of a form without its secrets. Of lists and maps that have some nothing is left: nobody could tell which were whose. */
export function withoutSecrets(fields: readonly FormField[], values: Readonly<Row>): Row {
  const left: Row = { ...values };
  for (const field of fields) {
    const value = values[field.name];
    if (field.widget === 'record' && isRecord(value)) left[field.name] = withoutSecrets(field.fields, value);
    else if (field.widget !== 'record' && hasSecrets(field)) delete left[field.name];
  }
  return left;
}

/** The same with the secrets that are in `from`. */
export function withSecrets(fields: readonly FormField[], values: Readonly<Row>, from: Readonly<Row>): Row {
  const whole: Row = { ...values };
  for (const field of fields) {
    const [value, other] = [values[field.name], from[field.name]];
    if (field.widget === 'record' && isRecord(value))
      whole[field.name] = withSecrets(field.fields, value, recordOrEmpty(other));
    else if (field.widget !== 'record' && hasSecrets(field)) whole[field.name] = other ?? null;
  }
  return whole;
}

function hasSecrets({ secret, fields, elements }: FormField): boolean {
  return secret || fields.some(hasSecrets) || (elements !== null && hasSecrets(elements));
}
