import { integer, json, object, oneOf, string } from '../../shared/bundle/shape.ts';
import type { PurgeMessage, TargetHealthMessage } from '../../shared/cluster/messages.ts';
import { messageOf } from '../../shared/thrown.ts';
import { LOG_LEVELS, type LogLevel } from '../instance/log-levels.ts';
import type { ControlPlaneMessages } from '../store/store.ts';
import type { ClusterLog } from './mtls-server.ts';

export type HealthOrder = Omit<TargetHealthMessage, 'type'>;

/** What control planes tell each other. */
export type PeerMessage =
  | { readonly target_health: HealthOrder }
  | { readonly purge: PurgeOrder }
  | { readonly log_level: LogLevelOrder }
  | { readonly forget: string };

export type PurgeOrder = Omit<PurgeMessage, 'type'>;

export interface LogLevelOrder {
  readonly level: LogLevel;
  readonly seconds: number;
}

/** Characters of a message; PostgreSQL notifies with 8,000 bytes at most, and no target's address comes near. */
const LONGEST_ORDER = 2_000;

/** The other control planes on the database, to which data planes of the same cluster are connected. */
export class Peers {
  readonly #own: string;
  readonly #messages: ControlPlaneMessages;
  readonly #unsubscribe: () => void;

  /** `own`: the id of this control plane's process. `take` gets what the others say. */
  constructor(own: string, messages: ControlPlaneMessages, take: (message: PeerMessage) => void, log: ClusterLog) {
    this.#own = own;
    this.#messages = messages;
    this.#unsubscribe = messages.subscribe((text) => {
      try {
        const read = object(json(text, 'message'), 'message');
        if (read.from === own) return;
        if (read.forget !== undefined) take({ forget: string(read.forget, 'message.forget') });
        else if (read.purge !== undefined) take({ purge: purgeOf(object(read.purge, 'message.purge')) });
        else if (read.log_level !== undefined)
          take({ log_level: levelOf(object(read.log_level, 'message.log_level')) });
        else take({ target_health: orderOf(object(read.target_health, 'message.target_health')) });
      } catch (error) {
        log('warn', `a message of another control plane was not understood: ${messageOf(error)}`);
      }
    });
  }

  /** Tells the others. Throws when the database cannot be reached. */
  async spread(message: PeerMessage): Promise<void> {
    const text = JSON.stringify({ from: this.#own, ...message });
    if (text.length <= LONGEST_ORDER) await this.#messages.send(text);
  }

  stop(): void {
    this.#unsubscribe();
  }
}

function purgeOf({ of, name }: Readonly<Record<string, unknown>>): PurgeOrder {
  if (of !== 'plugin' && of !== 'key') throw new TypeError('a purge of plugin or key is expected');
  return { of, name: string(name, 'name') };
}

function levelOf(read: Readonly<Record<string, unknown>>): LogLevelOrder {
  return { level: oneOf(read.level, 'level', LOG_LEVELS), seconds: integer(read.seconds, 'seconds') };
}

function orderOf(read: Readonly<Record<string, unknown>>): HealthOrder {
  return {
    upstream: string(read.upstream, 'upstream'),
    target: string(read.target, 'target'),
    address: read.address === null ? null : string(read.address, 'address'),
    healthy: read.healthy === true,
  };
}
