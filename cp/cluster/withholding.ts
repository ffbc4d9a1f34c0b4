import { incompatibility } from '../../shared/cluster/compatibility.ts';
import type { Withheld } from '../../shared/cluster/messages.ts';
import { isRecord } from '../../shared/record.ts';
import type { WithheldNode } from '../admin/cluster/cluster-view.ts';
import type { Publisher } from '../publisher/publisher.ts';
import type { NodeRecord } from '../store/store.ts';
import type { ClusterLog } from './mtls-server.ts';
import type { NodeSession } from './session.ts';

/** Data planes that are named in one line; all of them stand in the Admin API. */
const MOST_NAMED = 3;

export type Fault = Omit<Withheld, 'type'>;

/** What config is withheld for, found once for all data planes of a kind while nothing else happens. */
export type Faults = Map<string, Fault | null>;

/** The connected data planes which the newest manifest of their group is withheld from, with the reasons. */
export function withheldFrom(sessions: Iterable<NodeSession>): readonly WithheldNode[] {
  const found: WithheldNode[] = [];
  // Of thousands of data planes, few are of different kinds.
  const faults: Faults = new Map();
  for (const session of sessions) {
    const reason = session.withheld(faults);
    if (reason !== null) found.push({ id: session.node.id, hostname: session.node.hostname, reason });
  }
  return found;
}

/** The same of data planes as the registry has them, which are connected to other control planes. */
export function withheldElsewhere(
  nodes: readonly NodeRecord[],
  publisher: Pick<Publisher, 'release' | 'conflicts'>,
  controlPlane: string,
): readonly WithheldNode[] {
  return nodes.flatMap(({ id, hostname, version, description }) => {
    const plugins = Object.fromEntries(
      Object.entries(isRecord(description.plugins) ? description.plugins : {}).flatMap(([name, one]) =>
        typeof one === 'string' ? [[name, one] as const] : [],
      ),
    );
    const group = String(description.group);
    const configured = publisher.release(group)?.manifest.plugins ?? {};
    const capabilities = Array.isArray(description.capabilities) ? description.capabilities.map(String) : [];
    const fault = incompatibility(
      controlPlane,
      { version, plugins },
      configured,
      publisher.conflicts(group, capabilities),
    );
    return fault === null ? [] : [{ id, hostname, reason: fault.reason }];
  });
}

/** In one sentence for people; the same reason once, with whom it concerns. */
export function withheldInWords(nodes: readonly WithheldNode[]): string {
  const byReason = new Map<string, string[]>();
  for (const { hostname, reason } of nodes) byReason.set(reason, [...(byReason.get(reason) ?? []), hostname]);
  const parts = [...byReason].map(([reason, hostnames]) => {
    const more = hostnames.length > MOST_NAMED ? ` and ${hostnames.length - MOST_NAMED} more` : '';
    return `${hostnames.slice(0, MOST_NAMED).join(', ')}${more}: ${reason}`;
  });
  return parts.join('; ');
}

/** One line of the log for each change that does not reach every data plane, and one when they get everything again. */
export class WithheldLog {
  readonly #log: ClusterLog;
  #withholding = false;

  constructor(log: ClusterLog) {
    this.#log = log;
  }

  /** `serial`: up to where config is published. */
  tell(connected: Iterable<NodeSession>, serial: number): void {
    const sessions = [...connected];
    const withheld = withheldFrom(sessions);
    if (withheld.length > 0) {
      this.#log(
        'warn',
        `serial ${serial} is withheld from ${withheld.length} of ${sessions.length} data planes, which keep ` +
          `their last config: ${withheldInWords(withheld)}`,
      );
    } else if (this.#withholding) {
      this.#log('notice', `serial ${serial} is withheld from no data plane any more`);
    }
    this.#withholding = withheld.length > 0;
  }
}
