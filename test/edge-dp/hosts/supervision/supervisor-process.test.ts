import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { SupervisorPlan } from '../../../../edge-dp/hosts/supervision/messages.ts';
import { SupervisorProcess } from '../../../../edge-dp/hosts/supervision/supervisor-process.ts';

it('says how it ended to whoever tells it something before that and after', async () => {
  const compiled = mkdtempSync(join(tmpdir(), 'holdfast-compiled-'));
  try {
    const supervisor = new SupervisorProcess([], () => {}, compiled);
    const plan: SupervisorPlan = Object({});
    process.kill(supervisor.pid ?? 0, 'SIGKILL');
    const before = supervisor.start(plan);
    await expect(before).rejects.toThrow('the supervisor process ended: signal SIGKILL');
    await supervisor.ended;
    await expect(supervisor.start(plan)).rejects.toThrow('the supervisor process ended: signal SIGKILL');
    await supervisor.stop(0);
  } finally {
    rmSync(compiled, { recursive: true, force: true });
  }
});
