/** A UUID as this project writes one: lower case. */
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const ANY_CASE = new RegExp(UUID, 'i');

/** Any UUID, whatever its version, in either case (RFC 9562). */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && ANY_CASE.test(value);
}
