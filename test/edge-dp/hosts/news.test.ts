import { afterEach, beforeEach, test } from 'vitest';
import { until } from '../../until.ts';
import { proxyUrl, startOwnBox } from '../hosts.ts';
import { NodeFixture } from '../node-fixture.ts';
import { ask } from './node.ts';

let fixture: NodeFixture;

beforeEach(async () => {
  fixture = await NodeFixture.create(startOwnBox);
});

afterEach(() => fixture.remove());

/** What many requests see, each on a connection of its own, so that every process answers some. */
async function seen(): Promise<string[]> {
  const url = proxyUrl(fixture.node, '/rows/routes');
  const answers = await Promise.all(Array.from({ length: 24 }, async () => (await ask(url)).text));
  return [...new Set(answers)];
}

test('processes that do not own the link hear of a change when it happens, not when they would ask again', async () => {
  // Ten minutes between questions: within this test none is asked a second time for want of an answer.
  await fixture.start({ processes: 3, newsInterval: 600_000 });
  await seen();
  for (const [place, name] of ['first', 'second', 'third'].entries()) {
    await fixture.controlPlane.publish({ routes: { rows: [{ id: 'r1', name }] } }, { serial: place + 1 });
    await until(async () => (await seen()).every((answer) => answer.includes(name)));
  }
});
