import { expect, it } from 'vitest';
import { createLog } from '../../../cp/instance/log.ts';
import { CertificateWatch } from '../../../cp/pki/certificate-watch.ts';

const DAY = 86_400_000;
const END = Date.UTC(2030, 0, 1);
const certificate = {
  setting: 'cluster_cert',
  subject: 'CN=kong_clustering',
  validFrom: new Date(END - 1000 * DAY).toISOString(),
  validTo: new Date(END).toISOString(),
};

it('speaks of a certificate from 30 days before its end on, once a day, and says what its end means', () => {
  const lines: string[] = [];
  let now = END - 31 * DAY;
  const watch = new CertificateWatch(
    createLog('notice', (line) => lines.push(line.slice(line.indexOf('[')))),
    () => new Date(now),
  );
  const at = (time: number) => {
    now = time;
    watch.check();
    watch.check();
    return lines.splice(0);
  };
  watch.watch([certificate]);
  expect(lines).toEqual([]);
  expect(at(END - 3 * DAY)).toEqual([
    "[warn] holdfast: cluster_cert: certificate 'CN=kong_clustering' expires in 3 days, at 2030-01-01T00:00:00.000Z; " +
      "put a new one in its place and run 'holdfast reload'\n",
  ]);
  expect(at(END - DAY / 2)).toEqual([expect.stringContaining('expires in less than a day')]);
  expect(at(END + DAY)).toEqual([expect.stringMatching(/^\[error\].*expired at .*data planes serve the last config/)]);
  // The clock went back: nothing that was said already is said again.
  expect(at(END - 3 * DAY)).toEqual([]);
  watch.watch([{ ...certificate, validTo: new Date(END + 400 * DAY).toISOString() }]);
  expect(at(END + DAY)).toEqual([]);
  watch.stop();
});
