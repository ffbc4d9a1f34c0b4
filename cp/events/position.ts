import { createHash } from 'node:crypto';

/** How far a reader of events is: what an event's `id` says, and `Last-Event-ID` brings back. */
export interface Position {
  /** Of the change log, the same on every control plane, and the commit there. */
  readonly serial: number;
  readonly commit: string;
  /** Which control plane told it, since when, and the number of the event there. */
  readonly watch: string;
  readonly number: number;
}

export function positionText({ serial, commit, watch, number }: Position): string {
  return `${serial}.${commit}.${watch}.${number}`;
}

/** Null for what no event had as its id: such a reader has missed everything. */
export function parsePosition(text: string): Position | null {
  const [, serial, commit = '', watch = '', number] =
    /^(\d{1,15})\.([0-9a-f]{8})\.([0-9a-f]{8})\.(\d{1,15})$/.exec(text) ?? [];
  return serial === undefined ? null : { serial: Number(serial), commit, watch, number: Number(number) };
}

/** A commit in eight digits: enough to tell it from another that took its serial. */
export function commitMark(commit: string | null): string {
  return createHash('sha256')
    .update(commit ?? '')
    .digest('hex')
    .slice(0, 8);
}
