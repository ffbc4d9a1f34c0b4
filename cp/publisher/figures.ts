import { Histogram } from '../metrics/histogram.ts';

/** What a publisher's rounds came to. */
export class PublishFigures {
  readonly rounds = new Histogram(
    'holdfast_publish_seconds',
    'How long it took to read what was committed, to pack it, and to sign it for every group',
  );
  failures = 0;
  /** When something was published last, in Unix seconds. */
  lastAt = Date.now() / 1000;

  published(began: number): void {
    this.rounds.since(began);
    this.lastAt = Date.now() / 1000;
  }
}
