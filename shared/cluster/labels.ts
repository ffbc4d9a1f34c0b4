import { withoutUnseen } from '../unseen.ts';

const MOST_LABELS = 10;
const LONGEST = 63;
const VALUE = /^[a-z0-9]([\w.:-]*[a-z0-9])?$/i;
const KEY = /^(?!kong|konnect|insomnia|mesh|kic)/i;

/** What Kong would say against these labels of a data plane (`cluster_dp_labels`); null when nothing. */
export function labelsFault(labels: Readonly<Record<string, string>>): string | null {
  const entries = Object.entries(labels);
  if (entries.length > MOST_LABELS) return `count exceeded ${MOST_LABELS} max elements`;
  for (const [key, value] of entries) {
    const fault = textFault('key', key) ?? textFault('value', value);
    if (fault !== null) return fault;
    if (!KEY.test(key)) return `key ${key} must not begin with kong, konnect, insomnia, mesh or kic`;
  }
  return null;
}

function textFault(what: string, text: string): string | null {
  if (text === '' || text.length > LONGEST) return `a ${what} must have between 1 and ${LONGEST} characters`;
  if (VALUE.test(text)) return null;
  return `${what} ${JSON.stringify(withoutUnseen(text))} must be of letters, digits, '_', '.', ':' and '-', and begin and end with one of the first two`;
}
