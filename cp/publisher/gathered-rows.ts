import { utf8 } from '../../shared/bundle/canonical.ts';
import type { BundleRow } from '../../shared/bundle/format.ts';

/** Rows kept as they are until so many have come: as text they take a quarter of the memory, outside of the heap. */
const OPEN = 10_000;

/** Rows that wait for their turn. */
export class GatheredRows {
  #texts: Uint8Array[] = [];
  #open: BundleRow[] = [];

  add(row: BundleRow): void {
    this.#open.push(row);
    if (this.#open.length < OPEN) return;
    this.#texts.push(utf8(JSON.stringify(this.#open)));
    this.#open = [];
  }

  /** All of them, in their order, which are not kept any longer. */
  take(): BundleRow[] {
    const rows: BundleRow[] = [];
    const decoder = new TextDecoder();
    for (let text = this.#texts.shift(); text !== undefined; text = this.#texts.shift()) {
      const read: BundleRow[] = JSON.parse(decoder.decode(text));
      for (const row of read) rows.push(row);
    }
    for (const row of this.#open) rows.push(row);
    this.#open = [];
    return rows;
  }
}
