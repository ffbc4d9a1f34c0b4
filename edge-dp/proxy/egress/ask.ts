import { messageOf } from '../../../shared/thrown.ts';
import { decodeFailure, EGRESS_ERROR, EGRESS_ORIGIN, type EgressFailure } from './protocol.ts';

type ProcessAnswer =
  | { readonly failure: null; readonly answer: unknown }
  | { readonly failure: EgressFailure; readonly answer: null };

/** Asks the egress process for something of its own (`host-services.ts`). Gives the JSON it answers, null for none; never throws. */
export async function askProcess(
  egress: Pick<Fetcher, 'fetch'>,
  path: string,
  body: string | Uint8Array,
): Promise<ProcessAnswer> {
  try {
    const response = await egress.fetch(`${EGRESS_ORIGIN}/${path}`, { method: 'POST', body });
    const text = await response.text();
    const failed = response.headers.get(EGRESS_ERROR);
    if (failed !== null) return { failure: decodeFailure(failed), answer: null };
    return { failure: null, answer: text === '' ? null : JSON.parse(text) };
  } catch (error) {
    const message = `egress process: ${messageOf(error)}`;
    return { failure: { code: 'unreachable', sent: true, message }, answer: null };
  }
}
