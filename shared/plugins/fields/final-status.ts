/** Kong stores 100 to 199 and closes connections without an answer: what they announce (RFC 9110 section 15.2) never comes. */
export function finalStatusError(status: number): string | undefined {
  return status < 200 ? 'must be the status of a final answer, from 200 to 599' : undefined;
}
