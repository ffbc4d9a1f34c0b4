import { DurableObject } from 'cloudflare:workers';
import type { TargetHealthMessage } from '../../shared/cluster/messages.ts';
import { messageOf } from '../../shared/thrown.ts';
import { ActiveBreakers } from '../balancer/active-breakers.ts';
import type { BalancedUpstream, UpstreamDirectory } from '../balancer/directory.ts';
import { EarlyOrders } from '../balancer/early-orders.ts';
import { FailureRuns, type ToldFailure } from '../balancer/failure-runs.ts';
import { parseHealthNews, parseHealthOrder, parseVerdicts } from '../balancer/health-messages.ts';
import { reportTargets } from '../balancer/health-report.ts';
import { applyVerdict } from '../balancer/health-sync.ts';
import { HealthView } from '../balancer/health-view.ts';
import { probe } from '../balancer/probe.ts';
import { ProbeLanes } from '../balancer/probe-lanes.ts';
import { type Due, ProbeSchedule } from '../balancer/probe-schedule.ts';
import type { Observation } from '../balancer/target-health.ts';
import { checksHealth } from '../balancer/upstream.ts';
import type { Isolate } from '../config/isolate.ts';
import { NodeClient } from '../config/node.ts';
import type { Env } from '../env.ts';
import { createEgress } from '../proxy/create.ts';
import type { Egress } from '../proxy/egress/egress.ts';
import { internet } from '../proxy/egress/internet.ts';

/** Milliseconds alarms are apart at least, so that an interval of next to nothing cannot keep the node busy. */
const MIN_PAUSE = 50;
/** Milliseconds until it is looked again whether the target of an order is there. */
const LOOK_AGAIN = 500;

/**
 * The Durable Object that knows how the targets of one data plane node are: it probes them (active checks, by alarm), takes
 * in what the node's isolates saw (passive checks) and what the Admin API ordered, and tells isolates and control plane.
 */
export function healthChecker(isolate: Isolate): new (state: DurableObjectState, env: Env) => DurableObject<Env> {
  return class HealthChecker extends DurableObject<Env> {
    #view = new HealthView('', []);
    readonly #schedule = new ProbeSchedule();
    readonly #lanes = new ProbeLanes((due) => this.#probe(due));
    readonly #breakers = new ActiveBreakers();
    readonly #runs = new FailureRuns();
    readonly #early = new EarlyOrders();
    readonly #egress: Egress;
    #reported = '';

    constructor(state: DurableObjectState, env: Env) {
      super(state, env);
      this.#egress = createEgress({ network: env.NETWORK ?? internet, egress: env.EGRESS, outward: env.OUTWARD });
      void state.blockConcurrencyWhile(async () => {
        this.#view = new HealthView(crypto.randomUUID(), parseVerdicts(await state.storage.get('verdicts')));
      });
    }

    override async fetch(request: Request): Promise<Response> {
      const { pathname } = new URL(request.url);
      const body: unknown = request.method === 'POST' && pathname !== '/health/wake' ? await request.json() : null;
      switch (pathname) {
        case '/health': {
          const news = parseHealthNews(body);
          const before = this.#view.news(news);
          let changed = false;
          for (const change of news.changes)
            changed = this.#judge(change.upstream, change.address, change.healthy) || changed;
          changed = (await this.#count(news.failures)) || changed;
          if (changed) await this.#settle();
          await this.#arm(false);
          const { epoch, version } = this.#view.news(news);
          // What the isolate has just told need not be told back, but what came from others before it must.
          const verdicts = changed ? this.#view.news(news).verdicts : before.verdicts;
          return Response.json({ epoch, version, verdicts });
        }
        case '/health/orders': {
          const order = parseHealthOrder(body);
          this.#early.forget(order);
          if (this.#obey(order, await this.#balancers())) await this.#settle();
          else if (this.#early.keep(order, Date.now())) await this.#wakeAt(Date.now() + LOOK_AGAIN);
          else tellLost(order);
          return new Response(null, { status: 204 });
        }
        case '/health/wake':
          await this.#arm(true);
          return new Response(null, { status: 204 });
        default:
          return new Response('no such resource', { status: 404 });
      }
    }

    override async alarm(): Promise<void> {
      const balancers = await this.#balancers();
      const isHealthy = (upstream: string, address: string): boolean => this.#view.isHealthy(upstream, address);
      const { due, next } = this.#schedule.due(balancers.all(), isHealthy, Date.now());
      if (next !== null) await this.#wakeAt(next);
      // Not waited for: neither a DNS nor a target that is slow may hold up the next round.
      this.ctx.waitUntil(this.#resolve(balancers));
      this.ctx.waitUntil(this.#lanes.run(due));
      const { obeyed, lost } = this.#early.retry(Date.now(), (order) => this.#obey(order, balancers));
      lost.forEach(tellLost);
      if (obeyed) await this.#settle();
      else await this.#report(balancers);
      if (this.#early.any) await this.#wakeAt(Date.now() + LOOK_AGAIN);
    }

    /** False: its target is not here, or none of its addresses. */
    #obey(
      { upstream, target, address, healthy }: Omit<TargetHealthMessage, 'type'>,
      balancers: UpstreamDirectory,
    ): boolean {
      let obeyed = false;
      for (const { id, target: name, key, ip, port } of balancers.byId(upstream)?.addresses ?? []) {
        if ((id !== target && name !== target) || (address !== null && address !== `${ip}:${port}`)) continue;
        this.#judge(upstream, key, healthy);
        obeyed = true;
      }
      return obeyed;
    }

    /** Refreshes the names of targets, in this isolate; other processes of the node look up what they serve themselves. */
    async #resolve(balancers: UpstreamDirectory): Promise<void> {
      const next = await balancers.resolve();
      if (next === null) return;
      await this.#wakeAt(next);
      await this.#report(balancers);
    }

    /** Moves the alarm to an earlier time; never to a later one. */
    async #wakeAt(time: number): Promise<void> {
      const at = Math.max(time, Date.now() + MIN_PAUSE);
      const set = await this.ctx.storage.getAlarm();
      if (set === null || at < set) await this.ctx.storage.setAlarm(at);
    }

    async #probe({ balancer, address }: Due): Promise<void> {
      const network = this.env.NETWORK ?? internet;
      const seen = await probe({ network, egress: this.#egress }, balancer.upstream, address);
      if (seen !== null && this.#observe(balancer, seen, address.key)) await this.#settle();
    }

    #observe({ upstream }: BalancedUpstream, seen: Observation, address: string): boolean {
      const place = { upstream: upstream.id, address };
      const before = this.#view.isHealthy(upstream.id, address);
      const healthy = this.#breakers.observe(place, seen, upstream.health.active, before);
      if (!this.#view.set({ ...place, healthy })) return false;
      console.info(`upstream ${upstream.name}: ${address} is ${healthy ? 'healthy' : `unhealthy (${seen})`}`);
      return true;
    }

    /** True when failures of several isolates together have made an address unhealthy. */
    async #count(failures: readonly ToldFailure[]): Promise<boolean> {
      if (failures.length === 0) return false;
      const balancers = await this.#balancers();
      let changed = false;
      for (const failure of failures) {
        const { upstream, address } = failure;
        const checks = balancers.byId(upstream)?.upstream.health.passive;
        if (checks === undefined || !this.#view.isHealthy(upstream, address)) continue;
        if (this.#runs.add(failure, checks)) changed = this.#judge(upstream, address, false) || changed;
      }
      return changed;
    }

    #judge(upstream: string, address: string, healthy: boolean): boolean {
      this.#breakers.set({ upstream, address }, healthy);
      this.#runs.forget({ upstream, address });
      return this.#view.set({ upstream, address, healthy });
    }

    /** Keeps what is now the case, and tells this isolate and the control plane; other isolates ask. */
    async #settle(): Promise<void> {
      const balancers = await this.#balancers();
      // Isolates remember addresses that left for a while: who forgot them here could not tell that they are well again.
      const known = ({ upstream, address }: Pick<ToldFailure, 'upstream' | 'address'>): boolean =>
        balancers.byId(upstream)?.remembers(address) === true;
      this.#view.keep(known);
      this.#runs.keep(known);
      this.#breakers.keep(known);
      await this.ctx.storage.put('verdicts', this.#view.all());
      for (const verdict of this.#view.all()) applyVerdict(balancers, verdict);
      await this.#report(balancers);
    }

    /** By upstream id and target id, for the control plane's `/upstreams/{u}/health`; only when it has changed. */
    async #report(balancers: UpstreamDirectory): Promise<void> {
      const health: Record<string, unknown> = {};
      for (const balancer of balancers.all()) {
        const { id, health: checks } = balancer.upstream;
        const marked = balancer.addresses.some(({ key }) => !this.#view.isHealthy(id, key));
        const unresolved = balancer.targets.some((target) => balancer.dnsOf(target).failed);
        if (!checksHealth(checks) && !marked && !unresolved) continue;
        const targets = reportTargets(balancer, ({ key }) => this.#view.isHealthy(id, key));
        health[id] = Object.fromEntries(
          targets.map(({ id, dns, health, addresses }) => [id, { dns, health, addresses }]),
        );
      }
      const text = JSON.stringify(health);
      if (text === this.#reported) return;
      try {
        await new NodeClient(this.env).report({ type: 'health', health });
        this.#reported = text;
      } catch (error) {
        console.warn(`target health was not reported: ${messageOf(error)}`);
      }
    }

    /**
     * Sets the alarm where there is something to probe or to look up and none is set; `changed`: also where one is set, since
     * config has brought what the one set knows nothing of.
     */
    async #arm(changed: boolean): Promise<void> {
      if (!changed && (await this.ctx.storage.getAlarm()) !== null) return;
      const balancers = await this.#balancers();
      for (const { upstream, names } of balancers.all()) {
        const { healthyInterval, unhealthyInterval } = upstream.health.active;
        if (healthyInterval > 0 || unhealthyInterval > 0 || names.length > 0) return this.#wakeAt(Date.now());
      }
    }

    async #balancers(): Promise<UpstreamDirectory> {
      const { live } = await isolate.started(this.env, (work) => this.ctx.waitUntil(work));
      return (isolate.current.held?.live ?? live).path.balancers;
    }
  };
}

function tellLost({ upstream, target, address, healthy }: Omit<TargetHealthMessage, 'type'>): void {
  const which = address === null ? `target ${target}` : `address ${address} of target ${target}`;
  const what = healthy ? 'healthy' : 'unhealthy';
  console.warn(`${which} of upstream ${upstream} was not marked ${what}: this data plane has no such target`);
}
