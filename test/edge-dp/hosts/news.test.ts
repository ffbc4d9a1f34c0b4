import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
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

test('a change that a node says it has applied is served by all of its processes, busy or idle', async () => {
  await fixture.start({ processes: 3 });
  const stale: string[] = [];
  for (let serial = 1; serial <= 24; serial++) {
    await fixture.controlPlane.publish({ routes: { rows: [{ id: 'r1', name: `change ${serial}` }] } }, { serial });
    await fixture.controlPlane.heard('applied', (message) => message.serial === serial);
    stale.push(...(await seen()).filter((answer) => !answer.includes(`change ${serial}"`)));
    // Processes with a question under way, just before it, about the end of one, and long after one.
    await pause([0, 10, 60, 240, 255, 270, 600][serial % 7]);
  }
  expect(stale).toEqual([]);
});

test('a change that takes long to load is served by all processes once it is applied, also by one idle till then, or just started', async () => {
  await fixture.start({ processes: 3 });
  const stale: string[] = [];
  for (let serial = 1; serial <= 8; serial++) {
    const from = fixture.controlPlane.messages.length;
    if (serial > 4) {
      process.kill(fixture.node.pids()[2] ?? 0, 'SIGKILL');
      // Processes on their way up, or there just now.
      await pause([50, 150, 250, 350][serial % 4]);
    }
    const services = Array.from({ length: 30_000 }, (_, i) => ({ id: `s${i}`, name: `service ${i} ${serial}` }));
    const routes = [{ id: 'r1', name: `change ${serial}` }];
    await fixture.controlPlane.publish({ services: { rows: services }, routes: { rows: routes } }, { serial });
    await fixture.controlPlane.heard('applied', (message) => message.serial === serial, from);
    stale.push(...(await seen()).filter((answer) => !answer.includes(`change ${serial}"`)));
    // Idle, as nothing is asked of them.
    await pause(500);
  }
  expect(stale).toEqual([]);
});
