import { Client } from 'pg';

import { identifier, type Listener } from '../database.ts';
import { clientConfig, type PostgresSettings } from './settings.ts';

/** Milliseconds. */
const RECONNECT_FIRST = 200;
const RECONNECT_MOST = 10_000;

/** Listens for notifications on a connection of its own, and makes a new one, ever more patiently, when that breaks. */
export class Listening {
  readonly #settings: PostgresSettings;
  readonly #channels: readonly string[];
  readonly #listener: Listener;
  #client: Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #wait = RECONNECT_FIRST;
  #stopped = false;

  constructor(settings: PostgresSettings, channels: readonly string[], listener: Listener) {
    this.#settings = settings;
    this.#channels = channels;
    this.#listener = listener;
    void this.#connect();
  }

  /** Listens over another connection: the server behind this one is not what it was. */
  renew(): void {
    const old = this.#client;
    if (this.#stopped || old === undefined) return;
    this.#client = undefined;
    old.end().catch(() => {});
    void this.#connect();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#client?.end().catch(() => {});
  }

  async #connect(): Promise<void> {
    const { message, connected, outage } = this.#listener;
    const client = new Client(clientConfig(this.#settings));
    this.#client = client;
    client.on('notification', ({ channel, payload }) => message(channel, payload ?? ''));
    client.on('error', (error) => this.#again(client, error));
    client.on('end', () => this.#again(client, new Error('the connection was closed')));
    try {
      await client.connect();
      for (const channel of this.#channels) await client.query(`LISTEN ${identifier(channel)}`);
      if (this.#stopped || this.#client !== client) return;
      this.#wait = RECONNECT_FIRST;
      outage.worked();
      connected();
    } catch (error) {
      this.#again(client, error);
    }
  }

  #again(broken: Client, error: unknown): void {
    if (this.#stopped || broken !== this.#client) return;
    this.#client = undefined;
    this.#listener.outage.failed(error);
    broken.end().catch(() => {});
    this.#timer = setTimeout(() => void this.#connect(), this.#wait * (0.5 + Math.random()));
    this.#wait = Math.min(this.#wait * 2, RECONNECT_MOST);
  }
}
