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

/** Characters of a message; no target's address comes near. */
const LONGEST_ORDER = 2_000;

/** The other control planes on the database, to which data planes of the same cluster are connected. */
export class Peers {
  readonly #own: string;
  readonly #messages: ControlPlaneMessages;
  readonly #unsubscribe: () => void;
  /** Own orders about targets that have not come back from the database yet: how many, and whether another's came before. */
  readonly #underWay = new Map<string, { count: number; crossed: boolean }>();

  /** `own`: the id of this control plane's process. `take` gets what the others say. */
  constructor(own: string, messages: ControlPlaneMessages, take: (message: PeerMessage) => void, log: ClusterLog) {
    this.#own = own;
    this.#messages = messages;
    this.#unsubscribe = messages.subscribe((text) => {
      try {
        const read = object(json(text, 'message'), 'message');
        if (read.from === own) {
          if (read.target_health !== undefined) this.#returned(orderOf(object(read.target_health, 'message')), take);
          return;
        }
        if (read.forget !== undefined) take({ forget: string(read.forget, 'message.forget') });
        else if (read.purge !== undefined) take({ purge: purgeOf(object(read.purge, 'message.purge')) });
        else if (read.log_level !== undefined)
          take({ log_level: levelOf(object(read.log_level, 'message.log_level')) });
        else {
          const order = orderOf(object(read.target_health, 'message.target_health'));
          const underWay = this.#underWay.get(placeOf(order));
          if (underWay !== undefined) underWay.crossed = true;
          take({ target_health: order });
        }
      } catch (error) {
        log('warn', `a message of another control plane was not understood: ${messageOf(error)}`);
      }
    });
  }

  /** Tells the others. Throws when the database cannot be reached. */
  async spread(message: PeerMessage): Promise<void> {
    const text = JSON.stringify({ from: this.#own, ...message });
    if (text.length > LONGEST_ORDER) return;
    const place = 'target_health' in message ? placeOf(message.target_health) : null;
    const underWay = place === null ? null : (this.#underWay.get(place) ?? { count: 0, crossed: false });
    if (place !== null && underWay !== null) {
      underWay.count++;
      this.#underWay.set(place, underWay);
    }
    try {
      await this.#messages.send(text);
    } catch (error) {
      if (place !== null) this.#done(place);
      throw error;
    }
  }

  /** Data planes here were told at once: where another's order came after that and is older, they are told once more. */
  #returned(order: HealthOrder, take: (message: PeerMessage) => void): void {
    const crossed = this.#underWay.get(placeOf(order))?.crossed === true;
    this.#done(placeOf(order));
    if (crossed) take({ target_health: order });
  }

  #done(place: string): void {
    const underWay = this.#underWay.get(place);
    if (underWay !== undefined && --underWay.count <= 0) this.#underWay.delete(place);
  }

  stop(): void {
    this.#unsubscribe();
  }
}

const placeOf = ({ upstream, target, address }: HealthOrder): string => JSON.stringify([upstream, target, address]);

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
