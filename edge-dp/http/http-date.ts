/**
 * The Unix second that an HTTP date names, in any of its three forms (RFC 9110 section 5.6.7); null for other text. What stands behind
 * the seconds of the first two is passed over, as nginx does: clients write `GMT`, `UTC` or `-0000` there.
 */
export function parseHttpDate(text: string): number | null {
  const [, day, month, year, time] = IMF_FIXDATE.exec(text) ?? RFC_850.exec(text) ?? inOrder(ASCTIME.exec(text));
  const [, hours = '', minutes = '', seconds = ''] = TIME.exec(time ?? '') ?? [];
  const at = MONTHS.indexOf(month ?? '');
  if (day === undefined || year === undefined || at < 0 || hours === '') return null;
  const date = new Date(Date.UTC(fullYear(year), at, Number(day), Number(hours), Number(minutes), Number(seconds)));
  // A day that the month does not have, or an hour that no day has, comes out as another one.
  const there = date.getUTCDate() === Number(day) && date.getUTCSeconds() === Number(seconds);
  return there && Number(hours) < 24 && Number(minutes) < 60 ? date.getTime() / 1000 : null;
}

/** `Sun, 06 Nov 1994 08:49:37 GMT`. */
const IMF_FIXDATE = /^[A-Z][a-z]+, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d:\d\d:\d\d)(?!\d)/;
/** `Sunday, 06-Nov-94 08:49:37 GMT`. */
const RFC_850 = /^[A-Z][a-z]+, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d:\d\d:\d\d)(?!\d)/;
/** `Sun Nov  6 08:49:37 1994`. */
const ASCTIME = /^[A-Z][a-z]+ ([A-Z][a-z]{2}) ([ \d]\d) (\d\d:\d\d:\d\d) (\d{4})$/;
const TIME = /^(\d\d):(\d\d):(\d\d)$/;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** The parts of asctime's form in the order of the others. */
function inOrder(match: RegExpExecArray | null): readonly (string | undefined)[] {
  if (match === null) return [];
  const [whole, month, day, time, year] = match;
  return [whole, day, month, year, time];
}

/** Two digits are a year from 1970 to 2069. */
function fullYear(year: string): number {
  if (year.length > 2) return Number(year);
  return Number(year) + (Number(year) < 70 ? 2000 : 1900);
}
