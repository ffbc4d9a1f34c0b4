/** Where the Admin API is, as `kconfig.js` tells it. */
export interface AdminPorts {
  /** `admin_gui_api_url`; null: the host the page came from, on one of the ports. */
  readonly apiUrl: string | null;
  readonly apiPort: number | null;
  readonly apiTlsPort: number | null;
}

/** Where the Admin API is for a browser whose page has such an address; as Kong Manager concludes from `kconfig.js`. */
export function adminAddress(
  page: { readonly protocol: string; readonly hostname: string },
  { apiUrl, apiPort, apiTlsPort }: AdminPorts,
): string {
  if (apiUrl !== null) {
    const whole = /^(https?:)?\/\//.test(apiUrl) ? apiUrl : `${page.protocol}//${apiUrl}`;
    return (whole.startsWith('//') ? `${page.protocol}${whole}` : whole).replace(/\/+$/, '');
  }
  const port = page.protocol === 'https:' ? apiTlsPort : apiPort;
  if (port !== null) return `${page.protocol}//${page.hostname}:${port}`;
  const [protocol, other] = apiPort === null ? ['https:', apiTlsPort] : ['http:', apiPort];
  return `${protocol}//${page.hostname}:${other ?? ''}`;
}
