import { messageOf } from '../../shared/thrown.ts';
import type { Chain, PluginInstance } from '../plugins/runtime/chain.ts';
import type { StreamExchange } from '../plugins/runtime/stream.ts';
import type { TelemetryRecorder } from '../telemetry/recorder.ts';
import type { MovedBytes } from './passage.ts';
import type { Session } from './session.ts';

/** Status of a session whose plugin failed. */
const BROKEN = 500;

/** Runs `preread` in order; the status that refuses the session, or null. A plugin that fails refuses it. */
export async function prereadPhase(chain: Chain, session: Session): Promise<number | null> {
  for (const instance of chain.preread) {
    try {
      const refusal = await instance.hooks.preread?.(session);
      if (refusal !== undefined) return refusal;
    } catch (error) {
      tell(instance, 'preread', session, error);
      return BROKEN;
    }
  }
  return null;
}

/** A plugin that cannot log must not keep the others from it. */
export function logPhase(chain: Chain, session: Session, moved: MovedBytes, telemetry: TelemetryRecorder | null): void {
  if (chain.logStream.length === 0 && telemetry === null) return;
  const exchange = exchangeOf(session, moved, Date.now());
  telemetry?.record(exchange, session.serial);
  for (const instance of chain.logStream) {
    try {
      instance.hooks.logStream?.(exchange);
    } catch (error) {
      tell(instance, 'log', session, error);
    }
  }
}

function exchangeOf(session: Session, moved: MovedBytes, endedAt: number): StreamExchange {
  const { startedAt, decidedAt, status, tries, workspaceName } = session;
  return {
    session,
    request: session,
    status,
    ...moved,
    tries,
    latencies: { kong: decidedAt - startedAt, session: endedAt - startedAt },
    workspaceName,
  };
}

function tell({ plugin, place }: PluginInstance, phase: string, { id, route }: Session, cause: unknown): void {
  const where = `plugin ${plugin.name} (${place.id}) of route ${route.name ?? route.id}`;
  console.error(`session ${id}: ${where} failed in ${phase}: ${messageOf(cause)}`);
}
