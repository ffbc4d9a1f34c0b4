/** Whether nginx has a page of its own for that status. */
export function hasStatusPage(status: number): boolean {
  return REASONS[status] !== undefined;
}

/** What Kong's nginx says with a status and nothing else: a short page, of the type that `statusPageType` tells. */
export function statusPage(status: number): string {
  const title = `${status} ${REASONS[status] ?? ''}`;
  const head = `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n`;
  return `${head}</body>\r\n</html>\r\n`;
}

/** nginx names no charset for the two statuses that it redirects with itself. */
export function statusPageType(status: number): string {
  return status === 301 || status === 302 ? 'text/html' : 'text/html; charset=UTF-8';
}

const REASONS: Readonly<Record<number, string>> = {
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  401: 'Authorization Required',
  402: 'Payment Required',
  403: 'Forbidden',
  406: 'Not Acceptable',
  409: 'Conflict',
  410: 'Gone',
  415: 'Unsupported Media Type',
  416: 'Requested Range Not Satisfiable',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  501: 'Not Implemented',
  505: 'HTTP Version Not Supported',
  507: 'Insufficient Storage',
};
