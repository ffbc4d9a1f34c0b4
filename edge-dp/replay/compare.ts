import type { BundleRow } from '../../shared/bundle/format.ts';
import {
  type DifferingRequest,
  packShape,
  type ReplayAspect,
  type RequestShape,
  type Verdict,
} from '../../shared/cluster/replay.ts';
import type { Balancer } from '../balancer/balancer.ts';
import type { Chain } from '../plugins/runtime/chain.ts';
import type { Service } from '../proxy/entities.ts';
import type { Foreseen } from '../proxy/foresee.ts';
import type { RequestPath } from '../proxy/request-path.ts';
import { ShapeRequest } from './shape-request.ts';

/** What a request meets in both configs. */
export interface Compared {
  readonly changes: readonly ReplayAspect[];
  readonly unsure: boolean;
  /** Puts it in words. */
  differing(): DifferingRequest;
}

/** Compares what requests meet in two configs. What follows from routes and services alone is worked out once for each pair of them. */
export class Comparison {
  readonly #before: Pick<RequestPath, 'foresee'>;
  readonly #after: Pick<RequestPath, 'foresee'>;
  readonly #services = new Pairs<Service, boolean>((a, b) => a.id === b.id && sameRow(a.row, b.row));
  readonly #chains = new Pairs<Chain, boolean>(sameChain);
  readonly #balancers = new Pairs<Balancer, boolean>(sameTargets);

  constructor(before: Pick<RequestPath, 'foresee'>, after: Pick<RequestPath, 'foresee'>) {
    this.#before = before;
    this.#after = after;
  }

  compare(shape: RequestShape): Compared {
    const request = new ShapeRequest(shape);
    const [before, after] = [this.#before.foresee(request), this.#after.foresee(request)];
    const changes: ReplayAspect[] = [];
    if (before.route?.id !== after.route?.id) changes.push('route');
    if (!this.#same(this.#services, before.service, after.service)) changes.push('service');
    if (this.#goesElsewhere(before, after, shape)) changes.push('upstream');
    if (!this.#same(this.#chains, before.chain, after.chain)) changes.push('plugins');
    if (before.status !== after.status) changes.push('status');
    return {
      changes,
      unsure: request.unsure,
      differing: () => ({
        request: packShape(shape),
        changes,
        before: verdict(before, shape),
        after: verdict(after, shape),
      }),
    };
  }

  #goesElsewhere(before: Foreseen, after: Foreseen, shape: RequestShape): boolean {
    if (before.path === null || after.path === null) return before.path !== after.path;
    if (upstreamOf(before, shape) !== upstreamOf(after, shape)) return true;
    return before.balancer !== null && !this.#same(this.#balancers, before.balancer, after.balancer);
  }

  #same<T extends object>(pairs: Pairs<T, boolean>, a: T | null, b: T | null): boolean {
    if (a === b) return true;
    return a !== null && b !== null && pairs.of(a, b);
  }
}

/** Something about two objects, worked out once. */
class Pairs<T extends object, R> {
  readonly #work: (a: T, b: T) => R;
  readonly #known = new WeakMap<T, WeakMap<T, R>>();

  constructor(work: (a: T, b: T) => R) {
    this.#work = work;
  }

  of(a: T, b: T): R {
    const ofA = this.#known.get(a) ?? new WeakMap<T, R>();
    this.#known.set(a, ofA);
    const known = ofA.get(b);
    if (known !== undefined) return known;
    const worked = this.#work(a, b);
    ofA.set(b, worked);
    return worked;
  }
}

/** Rows are canonical JSON; when they were written is none of a request's business. */
function sameRow(a: BundleRow, b: BundleRow): boolean {
  return timeless(a) === timeless(b);
}

function timeless({ created_at: _created, updated_at: _updated, ...row }: BundleRow): string {
  return JSON.stringify(row);
}

function sameChain(a: Chain, b: Chain): boolean {
  return (
    a.instances.length === b.instances.length &&
    a.instances.every((one, at) => {
      const other = b.instances[at];
      if (other === undefined || one === other) return one === other;
      const same = one.plugin === other.plugin && one.place.id === other.place.id;
      return same && JSON.stringify(one.config) === JSON.stringify(other.config);
    })
  );
}

function sameTargets(a: Balancer, b: Balancer): boolean {
  const listed = ({ targets }: Balancer): string =>
    targets
      .map(({ target, weight }) => `${target} ${weight}`)
      .toSorted()
      .join();
  return a.upstream.algorithm === b.upstream.algorithm && listed(a) === listed(b);
}

function verdict(foreseen: Foreseen, shape: RequestShape): Verdict {
  const { route, service, chain, status } = foreseen;
  return {
    route: route && (route.name ?? route.id),
    service: service && (service.name ?? service.id),
    upstream: upstreamOf(foreseen, shape),
    plugins: chain.instances.map(({ plugin }) => plugin.name),
    status,
  };
}

/** In the form of a URL, the host it is asked by at its end where that is the client's. */
function upstreamOf({ route, service, path }: Foreseen, shape: RequestShape): string | null {
  if (service === null || path === null) return null;
  const host = route?.preserveHost === true && shape.host !== null ? ` (Host: ${shape.host})` : '';
  return `${service.protocol}://${service.host}:${service.port}${path}${host}`;
}
