import { DurableObject } from 'cloudflare:workers';
import { type Bytes, LIMITS, type ObjectName } from '../../shared/bundle/format.ts';
import type { Count } from '../../shared/cluster/counts.ts';
import type { ExplainMessage, FromDataPlane, ManifestMessage, Order } from '../../shared/cluster/messages.ts';
import { proveNode } from '../../shared/cluster/node-proof.ts';
import type { RecordChange, RecordOutcome } from '../../shared/cluster/records.ts';
import { TELEMETRY_CHALLENGE } from '../../shared/telemetry/messages.ts';
import { messageOf } from '../../shared/thrown.ts';
import { atMost } from '../config/at-most.ts';
import { bundleCache } from '../config/cache.ts';
import type { Isolate } from '../config/isolate.ts';
import type { LiveConfig } from '../config/live.ts';
import { FRESH, LATE } from '../config/news-times.ts';
import {
  answerNode,
  type LinkState,
  type News,
  type NodeOwner,
  type Report,
  type Told,
  versionOf,
} from '../config/node.ts';
import { findObject } from '../config/objects.ts';
import { type Membership, successors, trustOf, type VerifiedManifest } from '../config/trust.ts';
import type { Env } from '../env.ts';
import { NOTICE } from '../notice.ts';
import { KeptSample } from '../replay/kept-sample.ts';
import { Replays } from '../replay/replays.ts';
import type { SampledShape } from '../replay/sampled-shape.ts';
import { explain } from '../status/debug-route.ts';
import { type Adoption, adopt, verifiedLast } from './adoption.ts';
import { LONGEST_PAUSE } from './backoff.ts';
import { BundleStore } from './bundle-store.ts';
import { coloKey } from './colo-key.ts';
import { controlPlaneOrigin, controlPlanes } from './control-planes.ts';
import { CopiesLink } from './copies-link.ts';
import { CountsLink } from './counts-link.ts';
import { fallbackOffer, fallbackOrigin } from './fallback.ts';
import { fittingAnswer, fittingHello } from './fitting.ts';
import { FollowedKeys } from './followed-keys.ts';
import { Followers } from './followers.ts';
import type { Incoming } from './incoming.ts';
import { Link, type LinkOwner } from './link.ts';
import { nodeKey } from './node-key.ts';
import { NodeStanding } from './node-standing.ts';
import { Offered } from './offered.ts';
import { Orders } from './orders.ts';
import { RecordsLink } from './records-link.ts';
import { Refusals } from './refusals.ts';
import { SHARED_PATH } from './state-messages.ts';
import { TargetHealthLink } from './target-health-link.ts';

/** Milliseconds between looks at what the host may have brought by now. */
const FALLBACK_INTERVAL = 1_000;

/** Characters of inline objects kept for a manifest not yet looked at; what is missing then is fetched. */
const MOST_INLINE = 8 << 20;

/** The name of the one instance of a node. */
export function linkName(env: Env): string {
  return env.SETTINGS.node.id;
}

/**
 * The Durable Object that owns the link of one data plane node: takes manifests from a control plane, verifies, stores
 * and applies them, and tells every isolate of the node what the newest is.
 */
export function clusterLink(isolate: Isolate): new (state: DurableObjectState, env: Env) => DurableObject<Env> {
  return class ClusterLink extends DurableObject<Env> implements NodeOwner, LinkOwner {
    readonly nodeId: string;
    readonly #store: BundleStore;
    readonly #offered = new Offered((message) => this.log('warn', message));
    /** Null: isolates share nothing. */
    #seal: string | null = null;
    #ordersRefused = 0;
    #cacheErrors = 0;
    #link: Link;
    /** Those of the connection there is. */
    #orders = this.#newOrders();
    readonly #standing: NodeStanding;
    readonly #keys: FollowedKeys;
    /** Resolved, and replaced, when the newest manifest is another. */
    #change = Promise.withResolvers<void>();
    readonly #followers: Followers;
    /** What every isolate serves while a change is not acknowledged, since others may not have taken it yet; null: what this one does. */
    #served: { readonly live: LiveConfig | undefined } | null = null;
    /** The others have taken the last change, or have had the time to. */
    #taken: Promise<void> = Promise.resolve();
    /** The newest manifest not yet looked at, with every inline object that came since. */
    #pending: ManifestMessage | null = null;
    #adopting = false;
    /** A manifest of the fallback config that cannot be used. */
    #passedOver: string | null = null;
    /** Why there is newer config that this node does not take; null: there is none that is known of. */
    #withheld: string | null = null;
    #failuresKept = 0;
    readonly #records: RecordsLink;
    readonly #toControlPlane = {
      send: (message: FromDataPlane) => this.#link.send(message),
      connected: () => this.#link.connected,
      waitUntil: (work: Promise<unknown>) => this.ctx.waitUntil(work),
      warn: (message: string) => this.log('warn', message),
    };
    readonly #counts = new CountsLink(this.#toControlPlane);
    readonly #refusals = new Refusals(this.#toControlPlane);
    readonly #copies = new CopiesLink({ ...this.#toControlPlane, keeper: (path) => this.#keeper(path) });
    readonly #sample = new KeptSample(this.env.SETTINGS.proxy.replaySample?.size ?? 0);
    readonly #replays = new Replays({
      env: this.env,
      current: isolate.current,
      origins: () => [this.#store.origin, ...this.#link.planes.map(controlPlaneOrigin)],
      membership: () => {
        const { cluster, group } = this.#standing.membership;
        const { SETTINGS } = this.env;
        return { cluster: SETTINGS.cluster ?? cluster, group: group ?? SETTINGS.node.group };
      },
      sample: () => this.#sample.shapes(),
      send: (message) => this.#link.send(message),
    });
    readonly #targetHealth = new TargetHealthLink({
      ...this.#toControlPlane,
      checker: () => this.env.HEALTH?.get(this.env.HEALTH.idFromName(linkName(this.env))) ?? null,
    });

    constructor(state: DurableObjectState, env: Env) {
      super(state, env);
      this.nodeId = env.SETTINGS.node.id;
      this.#store = new BundleStore(bundleCache(env));
      this.#standing = new NodeStanding({
        storage: state.storage,
        keepsManifest: env.SETTINGS.cacheMode !== 'off',
        log: (level, message) => this.log(level, message),
      });
      this.#link = new Link(controlPlanes(env), this, 0);
      // On Cloudflare isolates may be behind by seconds in any case.
      this.#followers = new Followers(env.SETTINGS.node.host === 'cloudflare' ? 0 : FRESH + LATE);
      isolate.linkOwned(env);
      this.#records = new RecordsLink({ ...this.#toControlPlane, keeper: this.#keeper(SHARED_PATH) });
      this.#keys = new FollowedKeys(env.SETTINGS, state.storage, (message) => this.log('notice', message));
      void state.blockConcurrencyWhile(() => this.#restore());
    }

    /** Of what plugins share; null: not on this node. */
    #keeper(path: string): DurableObjectStub | null {
      const { STATE } = this.env;
      return STATE?.get(STATE.idFromName(`${linkName(this.env)}${path}`)) ?? null;
    }

    async #restore(): Promise<void> {
      const { storage } = this.ctx;
      await this.#standing.restore(this.env.SETTINGS.cluster ?? null);
      await this.#keys.restore();
      if (isolate.sharing(this.env) !== null) this.#seal = await coloKey(storage);
      this.#offered.came(this.#standing.membership.highestSerial);
      this.#failuresKept = (await storage.get<number>('failures')) ?? 0;
      this.#link = new Link(controlPlanes(this.env), this, this.#failuresKept);
      // A node that was connected goes back at once; one that kept failing keeps its pause, or a crash loop would have none.
      const due = await storage.getAlarm();
      // The clock may have been set back since it was set.
      const lost = due === null || due > Date.now() + LONGEST_PAUSE;
      if (this.#failuresKept === 0 || lost) await storage.setAlarm(Date.now());
    }

    override fetch(request: Request): Promise<Response> {
      return answerNode(request, this);
    }

    override async alarm(): Promise<void> {
      try {
        await isolate.started(this.env, (work) => this.ctx.waitUntil(work));
        if (this.#lacksConfig()) this.ctx.waitUntil(this.#takeFallback());
        await this.#link.tick();
      } catch (error) {
        // An alarm that fails too often is given up by the runtime, and with it the link.
        this.#link.fail(messageOf(error));
      }
      await this.#keepFailures();
      if (this.#lacksConfig()) await this.#wakeForFallback();
      await this.#store.sweep().catch((error: unknown) => {
        this.#cacheErrors++;
        this.log('warn', `cache: ${messageOf(error)}`);
      });
    }

    /** For after a restart. */
    async #keepFailures(): Promise<void> {
      if (this.#link.failures === this.#failuresKept) return;
      this.#failuresKept = this.#link.failures;
      await this.ctx.storage.put('failures', this.#failuresKept);
    }

    // What isolates ask.

    async news(): Promise<News & { readonly version: string | null }> {
      const { newest, version } = this.#standing;
      return { ...this.#known, newest, version, ...(this.#seal !== null && { seal: this.#seal }) };
    }

    get #known(): Membership {
      return { ...this.#standing.membership, statements: this.#keys.statements };
    }

    async nextNews(limit: number, follower: string | null, have: string | null): Promise<void> {
      if (this.#standing.version !== have) return;
      const news = atMost(limit, this.#change.promise);
      await (follower === null ? news : this.#followers.waits(follower, news));
    }

    has(follower: string, version: string | null): void {
      this.#followers.has(follower, version);
    }

    answered(follower: string): void {
      this.#followers.answered(follower);
    }

    /** From the cache, else from a control plane, whose copy then mends the cache. Throws when neither has it. */
    async object(name: ObjectName): Promise<Bytes> {
      const { cache } = this.#store;
      const origins = [cache, ...this.#link.planes.map(controlPlaneOrigin)];
      const { gzip, origin } = await findObject(name, LIMITS.object, origins, ({ name: damaged }) => {
        if (damaged === cache.name) this.#cacheErrors++;
      });
      if (origin !== cache && cache.mirrorsLazyTables)
        await cache.putObject(name, gzip).catch(() => this.#cacheErrors++);
      return gzip;
    }

    get linkState(): LinkState {
      const withheld = this.#withheld ?? this.#offered.keptBack;
      return {
        connected: this.#link.connected,
        withheld,
        ordersRefused: this.#ordersRefused,
        configsRefused: this.#refusals.count,
        cacheErrors: this.#cacheErrors,
      };
    }

    sampled(shapes: readonly SampledShape[]): void {
      for (const shape of shapes) this.#sample.take(shape);
    }

    heard({ isolate: name, requests }: Told): void {
      isolate.traffic.heard(name, requests);
    }

    counts(ledger: string, counts: readonly Count[]): Promise<readonly number[] | null> {
      return this.#counts.compare(ledger, counts);
    }

    records(changes: readonly RecordChange[]): Promise<readonly RecordOutcome[] | null> {
      return this.#records.tell(changes);
    }

    async proof(nonce: string, challenge: string): Promise<string> {
      const claim = { node: this.nodeId, nonce, challenge: TELEMETRY_CHALLENGE + challenge };
      return proveNode(claim, await nodeKey(this.ctx.storage));
    }

    async report(report: Report): Promise<void> {
      if (report.type === 'health') {
        this.#targetHealth.take(report.health);
        // The control plane shows it to people who wait for it: not only with the next heartbeat.
        if (this.#link.connected) this.#link.send(this.heartbeat());
      } else {
        this.#cacheErrors++;
        this.#refusals.reported(report.serial, report.reason);
      }
    }

    // What the link asks.

    async greeting(challenge: string | null): Promise<readonly FromDataPlane[]> {
      // A hello has the newest manifest, which says as much as an acknowledgement.
      await this.#taken;
      const { plugins } = isolate.current.gateway;
      this.#refusals.greeted();
      this.#counts.reconnected();
      this.#orders = this.#newOrders();
      this.#offered.connects();
      const { nonce } = this.#orders;
      const node = { ...this.env.SETTINGS.node, plugins };
      const hello = {
        type: 'hello',
        node,
        manifest: this.#standing.newest?.manifest ?? null,
        nonce,
        assignable: true,
      } as const;
      if (challenge === null) return [fittingHello(hello)];
      const proof = await proveNode({ node: node.id, nonce, challenge }, await nodeKey(this.ctx.storage));
      return [fittingHello({ ...hello, proof }), ...(await this.#records.greeting())];
    }

    heartbeat(): FromDataPlane {
      const live = this.#served === null ? isolate.current.held?.live : this.#served.live;
      const { health } = this.#targetHealth;
      return {
        type: 'heartbeat',
        serial: live?.serial ?? null,
        config_hash: live?.configHash ?? null,
        ...(Object.keys(health).length === 0 ? {} : { health }),
      };
    }

    receive(message: Incoming): void {
      switch (message.type) {
        case 'manifest':
          this.#follow(message.keys);
          this.#pending = { ...message, objects: together(this.#pending?.objects ?? {}, message.objects) };
          if (!this.#adopting) this.ctx.waitUntil(this.#adoptPending());
          break;
        case 'order':
          this.#follow(message.keys);
          this.ctx.waitUntil(this.#orders.receive(message.order));
          break;
        case 'unsigned':
          this.#orders.unsigned(message.order);
          break;
        case 'heartbeat':
          // While a manifest is looked at it is not known yet whether it is genuine.
          if (!this.#adopting) this.#offered.claimed(message.serial);
      }
    }

    /** Whatever else came with it waits for this. */
    #follow(statements: readonly string[] | undefined): void {
      if (statements === undefined || statements.every((one) => this.#keys.statements.includes(one))) return;
      const { cluster } = this.#standing.membership;
      const following = this.#keys.follow(statements, cluster, (revoked, serial) =>
        this.#standing.disown(revoked, serial),
      );
      this.ctx.waitUntil(following);
    }

    #newOrders(): Orders {
      return new Orders({
        node: this.env.SETTINGS.node.id,
        trust: async () => {
          await isolate.started(this.env, (work) => this.ctx.waitUntil(work));
          await this.#keys.settled;
          const { cluster = null } = this.env.SETTINGS;
          const last = await verifiedLast(this.env, isolate.current, this.#known, this.#standing.newest);
          const { trustedKeys } = successors(await trustOf(this.env.SETTINGS, this.#known), last);
          return { trustedKeys, cluster: cluster ?? this.#standing.membership.cluster };
        },
        obey: (order) => this.#obey(order),
        warn: (message) => this.log('warn', message),
        refused: () => {
          this.#ordersRefused++;
        },
      });
    }

    #obey(order: Order): void {
      switch (order.type) {
        case 'assigned':
          this.ctx.waitUntil(this.#standing.assign(order.group));
          break;
        case 'withheld':
          this.#offered.withheld();
          this.#withheld = `${order.reason} (${order.sync_status})`;
          this.#refusals.settle();
          this.log('warn', `the control plane withholds config from this node: ${order.reason} (${order.sync_status})`);
          break;
        case 'target_health':
          this.#targetHealth.tellChecker('/health/orders', order);
          break;
        case 'explain':
          this.ctx.waitUntil(this.#explain(order));
          break;
        case 'replay':
          this.ctx.waitUntil(this.#replays.answer(order));
          break;
        case 'records_done':
          this.#records.done(order);
          break;
        case 'counted':
          this.#counts.counted(order);
          break;
        case 'records_news':
          this.#records.news(order);
          break;
        case 'purge':
          this.ctx.waitUntil(this.#copies.purge(order));
          break;
        case 'show_copy':
          this.ctx.waitUntil(this.#copies.show(order));
      }
    }

    async #explain({ id, request }: ExplainMessage): Promise<void> {
      const { live } = await isolate.started(this.env, (work) => this.ctx.waitUntil(work));
      try {
        const { status, body } = await explain(isolate.current.held?.live ?? live, request);
        this.#link.send(fittingAnswer({ type: 'explained', id, status, body: { ...body } }));
      } catch (error) {
        this.#link.send({ type: 'explained', id, status: 500, body: { message: messageOf(error) } });
      }
    }

    wakeIn(milliseconds: number): void {
      this.ctx.waitUntil(this.ctx.storage.setAlarm(Date.now() + milliseconds));
    }

    log(level: 'info' | 'notice' | 'warn', message: string): void {
      if (level === 'notice') console.info(NOTICE + message);
      else console[level](message);
    }

    async #adoptPending(): Promise<void> {
      this.#adopting = true;
      try {
        for (let message = this.#pending; message !== null; message = this.#pending) {
          this.#pending = null;
          await this.#adopt(message);
        }
      } finally {
        this.#adopting = false;
      }
    }

    /** Nobody has given this node config yet, and the host may. */
    #lacksConfig(): boolean {
      return this.env.FALLBACK !== undefined && this.#standing.newest === null;
    }

    async #wakeForFallback(): Promise<void> {
      const { storage } = this.ctx;
      const latest = Date.now() + FALLBACK_INTERVAL;
      const due = await storage.getAlarm();
      if (due === null || due > latest) await storage.setAlarm(latest);
    }

    /** Takes what the host has brought as what a control plane sends is taken; what that sends meanwhile comes after. */
    async #takeFallback(): Promise<void> {
      const { FALLBACK } = this.env;
      if (FALLBACK === undefined || this.#adopting) return;
      this.#adopting = true;
      try {
        const offer = await fallbackOffer(FALLBACK);
        if (offer === null || offer.manifest === this.#passedOver) return;
        await isolate.started(this.env, (work) => this.ctx.waitUntil(work));
        this.#follow(offer.keys);
        await this.#keys.settled;
        const adoption = await adopt(this.env, isolate.current, this.#store, [], {
          message: { type: 'manifest', manifest: offer.manifest, objects: {} },
          standing: { ...this.#known, group: offer.group },
          origins: [fallbackOrigin(FALLBACK)],
          newest: null,
          remember: (adopted) => this.#remember(adopted),
        });
        if (adoption.outcome === 'applied')
          this.log('notice', `serial ${adoption.serial} is served from the fallback config`);
        else {
          this.#passedOver = offer.manifest;
          this.#refusals.tell(adoption.serial, `fallback config: ${adoption.reason}`);
        }
      } catch (error) {
        this.log('warn', `fallback config: ${messageOf(error)}`);
      } finally {
        this.#adopting = false;
        if (this.#pending !== null) this.ctx.waitUntil(this.#adoptPending());
      }
    }

    async #adopt(message: ManifestMessage): Promise<void> {
      await isolate.started(this.env, (work) => this.ctx.waitUntil(work));
      // Whose config this node takes was said before the manifest was, and by which keys.
      await Promise.all([this.#keys.settled, this.#orders.settled()]);
      this.#served = { live: isolate.current.held?.live };
      const began = performance.now();
      try {
        const adoption = await adopt(this.env, isolate.current, this.#store, this.#link.planes, {
          message,
          standing: this.#known,
          newest: this.#standing.newest,
          remember: (adopted) => this.#remember(adopted),
        });
        if (adoption.outcome === 'applied') await this.#taken;
        this.#answer(adoption, Math.max(0, Math.round(performance.now() - began)));
      } finally {
        this.#served = null;
      }
    }

    /** After the cache and before any request: from here on nothing older is taken. */
    async #remember(adopted: VerifiedManifest): Promise<void> {
      await this.#standing.remember(adopted);
      const { content } = adopted;
      this.#taken = this.#followers.changed(versionOf(content));
      this.#change.resolve();
      this.#change = Promise.withResolvers();
    }

    #answer(adoption: Adoption, load_ms: number): void {
      this.#offered.came(adoption.serial);
      switch (adoption.outcome) {
        case 'applied':
          this.#withheld = null;
          this.#link.settled();
          this.ctx.waitUntil(this.#keepFailures());
          this.#refusals.changed();
          this.#link.send({ type: 'applied', serial: adoption.serial, config_hash: adoption.configHash, load_ms });
          this.#targetHealth.tellChecker('/health/wake', null);
          this.#refusals.settle();
          return;
        case 'refused':
          this.#withheld = `refused by this node: ${adoption.reason}`;
          this.#refusals.settle();
          this.#refusals.tell(adoption.serial, adoption.reason);
          return;
        case 'interrupted':
          // Nothing is wrong with the manifest itself: the next hello brings it again.
          if (adoption.of === 'cache') this.#cacheErrors++;
          this.#refusals.settle();
          this.#refusals.tell(adoption.serial, adoption.reason);
          this.#link.fail(adoption.reason);
      }
    }
  };
}

type InlineObjects = ManifestMessage['objects'];

/** A manifest that was not looked at yet is skipped, but the objects that came with it are needed all the same. */
function together(earlier: InlineObjects, later: InlineObjects): InlineObjects {
  const both = { ...earlier, ...later };
  const length = Object.values(both).reduce((sum, base64) => sum + base64.length, 0);
  return length > MOST_INLINE ? later : both;
}
