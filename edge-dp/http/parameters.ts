/**
 * The parameters of a header value like Content-Type or Content-Disposition (RFC 9110 section 5.6.6), names in lower case; of repeated
 * ones the first. What comes behind something that is none is not looked at.
 */
export function parametersOf(value: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  const pattern = new RegExp(PARAMETER);
  pattern.lastIndex = value.indexOf(';');
  if (pattern.lastIndex < 0) return parameters;
  for (let match = pattern.exec(value); match !== null; match = pattern.exec(value)) {
    const [, name = '', quoted, token = ''] = match;
    const key = name.toLowerCase();
    if (!parameters.has(key)) parameters.set(key, quoted === undefined ? token : quoted.replace(/\\(["\\])/g, '$1'));
  }
  return parameters;
}

const PARAMETER = /;[ \t]*([^\s=;"]+)=(?:"((?:\\.|[^"\\])*)"[ \t]*|([^;"\s]*)[ \t]*)(?=;|$)/gy;
