import { isRecord, type Row } from '../../../../shared/record.ts';
import { workspace } from '../admin/address.ts';

/** What somebody has typed and not saved, kept while the tab is open; without secrets, see `withoutSecrets`. */
export interface Draft {
  /** The row as it was when the form was opened; null: it is to be made. */
  readonly opened: Row | null;
  readonly values: Row;
}

const keyOf = (place: string): string => `holdfast-draft ${workspace} ${place}`;

export function readDraft(place: string): Draft | null {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(keyOf(place)) ?? 'null');
    if (!isRecord(kept) || !isRecord(kept.values)) return null;
    return { opened: isRecord(kept.opened) ? kept.opened : null, values: kept.values };
  } catch {
    return null;
  }
}

export function keepDraft(place: string, draft: Draft): void {
  try {
    sessionStorage.setItem(keyOf(place), JSON.stringify(draft));
  } catch {
    // A browser that keeps nothing, or has no more room: the form itself still has it.
  }
}

export function dropDraft(place: string): void {
  sessionStorage.removeItem(keyOf(place));
}
