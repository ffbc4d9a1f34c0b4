import { isIP } from 'node:net';
import { namesOf } from '../../shared/acme.ts';
import type { AcmeConfig } from '../../shared/plugins/acme.ts';
import { isRecord, type Row } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Trust } from '../pki/trust.ts';
import { writingAlone } from '../store/author.ts';
import type { Store, Workspace } from '../store/store.ts';
import { accountKey } from './account.ts';
import { certificateOf, describeCertificate, isDue, keepCertificate } from './certificates.ts';
import { AcmeError } from './error.ts';
import { AcmeHttp } from './http.ts';
import { type Challenges, orderCertificate } from './order.ts';
import { certificateRequest, newKey, pemOf, usableKey } from './request.ts';
import { AcmeSession } from './session.ts';
import { AcmeStorage } from './storage.ts';

/** Milliseconds between two looks for what is to be ordered. */
const INTERVAL = 60_000;
/** Seconds for which one order keeps others of the same name away: longer than one can take. */
const LOCK = 600;
/** Seconds: pauses after failures double up to this, so that a server's limits on them are kept. */
const LONGEST_BACKOFF = 86_400;

const RENEW = 'kong_acme:renew_config:';

interface OrdersOptions {
  readonly store: Pick<Store, 'workspace'>;
  readonly challenges: Challenges;
  /** By what ACME servers are verified. */
  readonly trust: Trust;
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void;
}

/** Orders certificates for the names that acme plugins are configured with, and renews them. One name at a time. */
export class AcmeOrders {
  readonly #options: OrdersOptions;
  readonly #http: AcmeHttp;
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> | null = null;
  readonly #stop = new AbortController();

  constructor(options: OrdersOptions) {
    this.#options = options;
    this.#http = new AcmeHttp(options.trust);
  }

  /** Looks now and then for names without a certificate, and for certificates that end soon. */
  start(interval: number = INTERVAL): void {
    this.#timer = setInterval(() => void this.renew(), interval);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#http.close();
    await this.#round;
  }

  /** One round through everything that is due. Never throws: what fails is in the log. */
  renew(): Promise<void> {
    this.#round ??= writingAlone('certificates by ACME', () => this.#renewAll())
      .catch((error: unknown) => this.#options.log('error', `certificates cannot be renewed: ${messageOf(error)}`))
      .finally(() => {
        this.#round = null;
      });
    return this.#round;
  }

  /**
   * Orders a certificate for a name now, unless `needed` says that there is one by now: another control plane may have been faster.
   * Throws `AcmeError`.
   */
  async update(
    { name }: Pick<Workspace, 'name'>,
    config: AcmeConfig,
    host: string,
    needed: () => Promise<boolean> = async () => true,
  ): Promise<void> {
    // Its own view of it: that of the Admin API may be for reading only.
    const workspace = await this.#options.store.workspace(name);
    if (workspace === null) throw new AcmeError(`there is no workspace '${name}'`);
    const storage = new AcmeStorage(workspace);
    const lock = `kong_acme:update_lock:${host}`;
    if (!(await storage.add(lock, 'placeholder', LOCK))) throw new OrderUnderWay(host);
    try {
      await this.#ifNotPaused(workspace, storage, config, host, needed);
    } finally {
      await storage.delete(lock);
    }
  }

  /** With its lock held: a failure that the last one who had it met is known then. */
  async #ifNotPaused(
    workspace: Workspace,
    storage: AcmeStorage,
    config: AcmeConfig,
    host: string,
    needed: () => Promise<boolean>,
  ): Promise<void> {
    const backoff = `kong_acme:fail_backoff:${host}`;
    const before = readBackoff(await storage.get(backoff));
    const wait = before.until - Math.floor(Date.now() / 1000);
    if (wait > 0) {
      throw new AcmeError(
        `please try again in ${wait} seconds for host ${host} because of previous failure; this is configurable with ` +
          'config.fail_backoff_minutes',
      );
    }
    try {
      if (!(await needed())) return;
      if (isIP(host) !== 0) {
        throw new AcmeError(
          `${host} is an address: certificates are shown by the name that clients ask for, and they ask for none`,
        );
      }
      await this.#order(workspace, storage, config, host);
      await storage.delete(backoff);
    } catch (error) {
      // A server is not to be waited for because it was asked while this control plane ended.
      if (this.#stop.signal.aborted) throw error;
      const failures = before.failures + 1;
      const pause = Math.min((config.fail_backoff_minutes ?? 5) * 60 * 2 ** (failures - 1), LONGEST_BACKOFF);
      const until = Math.floor(Date.now() / 1000 + pause);
      await storage.put(backoff, JSON.stringify({ until, failures }), Math.ceil(pause) + LONGEST_BACKOFF);
      throw error;
    }
  }

  async #order(workspace: Workspace, storage: AcmeStorage, config: AcmeConfig, host: string): Promise<void> {
    const { account_email, tos_accepted, eab_kid, eab_hmac_key, cert_type, rsa_key_size, preferred_chain } = config;
    const account = await accountKey(workspace, storage, config);
    const session = await AcmeSession.open(this.#http, config.api_uri ?? '', account, {
      email: String(account_email),
      tosAccepted: tos_accepted === true,
      binding: eab_kid && eab_hmac_key ? { id: eab_kid, key: eab_hmac_key } : null,
    });
    const old = await certificateOf(workspace, host);
    const kind =
      cert_type === 'ecc' ? ({ type: 'ecc' } as const) : ({ type: 'rsa', bits: rsa_key_size ?? 4096 } as const);
    const kept = old === null ? null : usableKey(old.key);
    const key =
      kept !== null && (kept.asymmetricKeyType === 'rsa') === (kind.type === 'rsa') ? kept : await newKey(kind);
    const request = await certificateRequest(host, key);
    const chain = await orderCertificate(session, this.#options.challenges, {
      host,
      request,
      preferredChain: preferred_chain,
      signal: this.#stop.signal,
    });
    await keepCertificate(workspace, host, chain, pemOf(key));
    await storage.put(`${RENEW}${host}`, JSON.stringify({ host }));
    this.#options.log('info', `a certificate for ${host} was ordered from ${config.api_uri}`);
  }

  /** The acme plugin of a workspace; null: it has none, or none that is enabled. */
  async configOf(workspace: Workspace): Promise<AcmeConfig | null> {
    const { rows } = await workspace.entity('plugins').page({ where: { field: 'name', value: 'acme' }, size: 1000 });
    const row = rows.find(({ enabled }) => enabled !== false);
    // Rows of the store have the form of their schema.
    return isRecord(row?.config) ? (row.config as AcmeConfig) : null;
  }

  /** The certificates that are renewed, by name. */
  async certificates(workspace: Workspace): Promise<readonly Row[]> {
    const described: Row[] = [];
    for (const host of await new AcmeStorage(workspace).list(RENEW)) {
      const found = await certificateOf(workspace, host);
      if (found === null) this.#options.log('warn', `${host} is to be renewed but has no certificate any more`);
      else described.push(describeCertificate(host, found));
    }
    return described;
  }

  /** Null: there is none of that name. */
  async certificate(workspace: Workspace, host: string): Promise<Row | null> {
    const found = await certificateOf(workspace, host);
    return found === null ? null : describeCertificate(host, found);
  }

  async #renewAll(): Promise<void> {
    const first = await this.#options.store.workspace('default');
    if (first === null) return;
    const names: string[] = [];
    let offset: string | undefined;
    do {
      const page = await first.entity('workspaces').page({ size: 1000, ...(offset !== undefined && { offset }) });
      names.push(...page.rows.map(({ name }) => String(name)));
      offset = page.offset;
    } while (offset !== undefined);
    for (const name of names) {
      const workspace = await this.#options.store.workspace(name);
      const config = workspace === null ? null : await this.configOf(workspace);
      if (workspace !== null && config !== null) await this.#renewOf(workspace, config);
    }
  }

  async #renewOf(workspace: Workspace, config: AcmeConfig): Promise<void> {
    const storage = new AcmeStorage(workspace);
    const configured = (config.domains ?? []).map((host) => host.toLowerCase()).filter((host) => !host.includes('*'));
    const served = namesOf(config);
    const renewed = (await storage.list(RENEW)).filter(served);
    for (const host of new Set([...configured, ...renewed])) {
      if (this.#stop.signal.aborted) return;
      const needed = async () => {
        const found = await certificateOf(workspace, host);
        return found === null || isDue(found, config.renew_threshold_days ?? 14);
      };
      if (!(await needed())) continue;
      if (readBackoff(await storage.get(`kong_acme:fail_backoff:${host}`)).until * 1000 > Date.now()) continue;
      try {
        await this.update(workspace, config, host, needed);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (error instanceof OrderUnderWay) continue;
        this.#options.log('error', `no certificate for ${host}: ${messageOf(error)}`);
      }
    }
  }
}

/** Another control plane, or another request, orders for the same name. */
class OrderUnderWay extends AcmeError {
  constructor(host: string) {
    super(`an order for ${host} is under way already`);
  }
}

interface Backoff {
  /** Unix seconds. */
  readonly until: number;
  readonly failures: number;
}

/** Kong keeps the time alone. */
function readBackoff(text: string | null): Backoff {
  if (text === null) return { until: 0, failures: 0 };
  if (/^\d+$/.test(text)) return { until: Number(text), failures: 1 };
  const { until, failures }: Backoff = JSON.parse(text);
  return { until, failures };
}
