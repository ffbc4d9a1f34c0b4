/** What a web server says with a status and nothing else: a short page, of type `text/html`. */
export function statusPage(status: number, server: string): string {
  const title = `${status} ${REASONS[status] ?? ''}`;
  const head = `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n`;
  return `${head}<hr><center>${server}</center>\r\n</body>\r\n</html>\r\n`;
}

const REASONS: Readonly<Record<number, string>> = {
  301: 'Moved Permanently',
  302: 'Found',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  415: 'Unsupported Media Type',
};
