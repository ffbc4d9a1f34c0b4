/** The collection of shared records that answers to ACME's challenges are kept in, by token (RFC 8555 section 8.3). */
export const ACME_CHALLENGES = 'acme-challenges';

/** Whether a name in lower case is one of an acme plugin's: itself, by a wildcard for its first labels, or because all are. */
export function namesOf({
  domains,
  allow_any_domain,
}: {
  readonly domains: readonly string[] | null;
  readonly allow_any_domain: boolean | null;
}): (host: string) => boolean {
  const names = new Set(domains?.map((name) => name.toLowerCase()) ?? []);
  const endings = [...names].filter((name) => name.startsWith('*.')).map((name) => name.slice(1));
  return (host) => allow_any_domain === true || names.has(host) || endings.some((ending) => host.endsWith(ending));
}
