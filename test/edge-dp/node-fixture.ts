import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataPlane, DataPlaneOptions } from '../../edge-dp/hosts/options.ts';
import { ControlPlane } from './control-plane.ts';
import { nodeOptions, proxyUrl, SHOWING_WORKER, type StartHost } from './hosts.ts';

/** One data plane node with its control plane, in a folder of its own, for a test that stops and starts both. */
export class NodeFixture {
  readonly prefix: string;
  readonly controlPlane: ControlPlane;
  readonly log: string[] = [];
  readonly #start: StartHost;
  readonly #entry: string | undefined;
  #node: DataPlane | null = null;

  private constructor(prefix: string, controlPlane: ControlPlane, start: StartHost, entry: string | undefined) {
    this.prefix = prefix;
    this.controlPlane = controlPlane;
    this.#start = start;
    this.#entry = entry;
  }

  /** `entry`: of another Worker than the one that shows what it is served by; null: the real one. */
  static async create(start: StartHost, entry: string | null = SHOWING_WORKER): Promise<NodeFixture> {
    const controlPlane = await ControlPlane.create();
    await controlPlane.start();
    const prefix = await mkdtemp(join(tmpdir(), 'holdfast node '));
    return new NodeFixture(prefix, controlPlane, start, entry ?? undefined);
  }

  get node(): DataPlane {
    if (this.#node === null) throw new Error('the node does not run');
    return this.#node;
  }

  async start(overrides: Partial<DataPlaneOptions> = {}): Promise<void> {
    const log = (_level: string, message: string): void => void this.log.push(message);
    this.#node = await this.#start(nodeOptions(this.prefix, this.controlPlane, { log, ...overrides }), this.#entry);
  }

  async stop(): Promise<void> {
    await this.#node?.stop(0);
    this.#node = null;
  }

  async remove(): Promise<void> {
    await this.stop();
    await this.controlPlane.stop();
    await rm(this.prefix, { recursive: true, force: true });
  }

  get(path: string): Promise<Response> {
    return fetch(proxyUrl(this.node, path));
  }

  /** Names of the routes requests are served by; the status where they are served by none. */
  async routes(): Promise<unknown> {
    const response = await this.get('/rows/routes');
    if (response.status !== 200) {
      await response.body?.cancel();
      return response.status;
    }
    const rows: unknown = await response.json();
    return Array.isArray(rows) ? rows.map((row: { name?: unknown }) => row.name) : rows;
  }
}
