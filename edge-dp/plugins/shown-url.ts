/** An address from config, and how the log calls it: without user, password and query, which may be secret. Throws for what is no URL. */
export function shownUrl(text: string, field: string): { readonly url: string; readonly shown: string } {
  const url = URL.parse(text);
  if (url === null) throw new Error(`${field} is no URL`);
  return { url: url.href, shown: `${url.origin}${url.pathname}` };
}
