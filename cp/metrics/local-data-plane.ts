import type { MetricFamily } from '../../shared/metrics-text.ts';
import { askInstance } from '../instance/ask.ts';

/** Milliseconds for what answers in the same process. */
const PATIENCE = 2_000;

/** What the data plane of the same instance shows at `/metrics` of its Status API; null: it does not answer. */
export async function localDataPlane(statusUrl: string): Promise<readonly MetricFamily[] | null> {
  try {
    const { status, text } = await askInstance(`${statusUrl}/metrics`, PATIENCE);
    return status === 200 ? familiesIn(text) : null;
  } catch {
    return null;
  }
}

/** The families of an exposition, each of which begins with its help. */
function familiesIn(exposition: string): readonly MetricFamily[] {
  return exposition.split(/^(?=# HELP )/m).flatMap((text) => {
    const [, name] = /^# HELP (\S+) /.exec(text) ?? [];
    return name === undefined ? [] : [{ name, text }];
  });
}
