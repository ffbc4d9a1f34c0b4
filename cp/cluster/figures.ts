import { Histogram } from '../metrics/histogram.ts';

/** What data planes made of the config they were offered. */
export class LinkFigures {
  readonly acknowledgements = new Histogram(
    'holdfast_config_acknowledge_seconds',
    'How long it took from the offer of a config to a data plane until it said that it serves it',
  );
  rejections = 0;
}
