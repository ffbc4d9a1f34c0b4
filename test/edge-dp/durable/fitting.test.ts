import { expect, test } from 'vitest';
import { fittingAnswer, fittingHealth, fittingHello, fittingReason } from '../../../edge-dp/durable/fitting.ts';
import { LARGEST } from '../../../shared/cluster/bounds.ts';
import { parseFromDataPlane } from '../../../shared/cluster/parse.ts';
import { hello } from '../../cp/cluster/control-plane.ts';

const upstreams = (count: number, health: string, targets: number, name: string) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, n) => [
      `${name}${n}`,
      Object.fromEntries(Array.from({ length: targets }, (_, t) => [`t${t}`, { dns: 'A', health, addresses: [] }])),
    ]),
  );

test('target health that is too long is cut to what a control plane takes, what is wrong first', () => {
  const small = upstreams(10, 'HEALTHY', 3, 'ü');
  expect(fittingHealth(small)).toEqual({ health: small, left: 0 });
  const large = { ...upstreams(100, 'HEALTHY', 60, 'well'), ...upstreams(40, 'UNHEALTHY', 60, 'ill') };
  const { health, left } = fittingHealth(large);
  const names = Object.keys(health);
  expect(names.filter((name) => name.startsWith('ill'))).toHaveLength(40);
  expect(names.length).toBeGreaterThan(60);
  expect(left).toBe(140 - names.length);
  const heartbeat = { type: 'heartbeat', serial: 2 ** 50, config_hash: 'a'.repeat(32), health };
  expect(parseFromDataPlane(JSON.stringify(heartbeat))).toMatchObject({ type: 'heartbeat' });
});

test('a hello that is too long goes without the manifest', () => {
  const short = hello({}, 'x'.repeat(10_000));
  expect(fittingHello(short)).toEqual(short);
  const fitting = fittingHello(hello({}, 'x'.repeat(LARGEST.hello)));
  expect(fitting.manifest).toBeNull();
  expect(parseFromDataPlane(JSON.stringify(fitting))).toMatchObject({ type: 'hello' });
});

test('an answer that is too long says so, and a reason is shortened', () => {
  const answer = { type: 'explained', id: '1', status: 200, body: { text: 'ü'.repeat(200_000) } } as const;
  expect(fittingAnswer(answer)).toMatchObject({
    status: 500,
    body: { message: expect.stringContaining('longer than') },
  });
  expect(fittingReason(`${'x'.repeat(1_999)}😀`)).toBe(`${'x'.repeat(1_999)}\ufffd`);
});
