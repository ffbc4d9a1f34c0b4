/** Kong takes any number where a plugin's config names the status of a refusal, and answers 500 where it is no such status. */
export function errorStatusError(status: number): string | undefined {
  const refuses = Number.isInteger(status) && status >= 400 && status <= 599;
  return refuses ? undefined : 'must be the status of an error, from 400 to 599';
}
