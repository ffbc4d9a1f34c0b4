/** `{vault://…}`: resolved by the data plane, so its value is unknown where config is checked. Holds no control characters. */
export function isReference(value: unknown): boolean {
  return typeof value === 'string' && /^\{vault:\/\/[^\p{Cc}\p{Cf}]*\}$/u.test(value);
}
