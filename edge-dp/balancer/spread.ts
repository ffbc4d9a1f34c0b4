import { bracketed } from '../proxy/egress/egress.ts';
import { type Address, AddressState, type Picker } from './address.ts';
import { consistentHashing } from './consistent-hashing.ts';
import { latency, welcomeNewcomers } from './latency.ts';
import { leastConnections } from './least-connections.ts';
import { isAddress } from './name-resolution.ts';
import type { NameTable } from './name-table.ts';
import { roundRobin } from './round-robin.ts';
import type { Target, Upstream } from './upstream.ts';

/** The addresses of an upstream's targets at one moment, and how requests are spread over them. Immutable. */
export interface Spread {
  readonly upstream: Upstream;
  /** Of the names it was made from. */
  readonly version: number;
  readonly addresses: readonly Address[];
  readonly totalWeight: number;
  readonly picker: Picker;
  /** Addresses that left: servers that hand out some of their addresses at a time bring them back. */
  readonly departed: ReadonlyMap<string, { readonly state: AddressState; readonly since: number }>;
}

/** Milliseconds the state of an address that left is kept, as in Kong. */
const REMEMBERED = 300_000;

/** What was learned of an address lives on in the next spread, and so does the place of the algorithm. */
export function spreadOf(
  upstream: Upstream,
  targets: readonly Target[],
  names: NameTable | null,
  before: Spread | null,
  now: number,
): Spread {
  const departed = new Map([...(before?.departed ?? [])].filter(([, { since }]) => now - since < REMEMBERED));
  for (const { key, state } of before?.addresses ?? []) departed.set(key, { state, since: now });
  const states = new Map([...departed].map(([key, { state }]) => [key, state]));
  const addresses = targets
    .flatMap((target) => placesOf(target, upstream, names))
    .map((place) => {
      const state = states.get(place.key) ?? new AddressState();
      states.set(place.key, state);
      departed.delete(place.key);
      return { ...place, state };
    });
  const weighted = addresses.filter(({ weight }) => weight > 0);
  if (upstream.algorithm === 'latency') welcomeNewcomers(weighted, now);
  const picker =
    before !== null && sharesPicker(before, upstream, addresses)
      ? before.picker
      : pickerOf(upstream, weighted, targets.length);
  const totalWeight = weighted.reduce((sum, { weight }) => sum + weight, 0);
  return { upstream, version: names?.version ?? 0, addresses, totalWeight, picker, departed };
}

/** Whether what was learned of this address still counts: it is there, or may come back. */
export function remembers({ addresses, departed }: Spread, key: string, now: number): boolean {
  const left = departed.get(key);
  return addresses.some((address) => address.key === key) || (left !== undefined && now - left.since < REMEMBERED);
}

/** The name a target must be looked up by; null where its host is an address, or where names are the runtime's business. */
export function nameOf({ host }: Target, names: NameTable | null): string | null {
  return names === null || isAddress(host) ? null : host;
}

function placesOf(target: Target, upstream: Upstream, names: NameTable | null): readonly Omit<Address, 'state'>[] {
  const { id, target: text, host, port, weight } = target;
  const configured = { id, target: text, name: host };
  if (names === null || isAddress(host))
    return [{ ...configured, ip: host, host, port, weight, hostname: host, key: `${host}:${port}` }];
  const { addresses, system } = names.get(host) ?? { addresses: [], system: false };
  const [first] = addresses;
  // One address says nothing the name does not, and the runtime's own fetch, the cheapest way out, knows only names.
  const byName = system && addresses.length === 1 && first?.srv === null;
  return addresses.map(({ ip, srv }) => {
    // A record without a port leaves it to the target.
    const place = { ip: bracketed(ip), port: srv === null || srv.port === 0 ? port : srv.port };
    return {
      ...configured,
      ...place,
      host: byName ? host : place.ip,
      weight: weight === 0 ? 0 : (srv?.weight ?? weight),
      hostname: upstream.useSrvName && srv !== null ? srv.name : host,
      // Behind one address there may be several names, of which one is ill.
      key: `${host}/${place.ip}:${place.port}`,
    };
  });
}

/** Whether a spread's picker spreads over exactly these addresses in the same way. */
function sharesPicker(before: Spread, upstream: Upstream, addresses: readonly Address[]): boolean {
  return (
    before.upstream.algorithm === upstream.algorithm &&
    before.upstream.slots === upstream.slots &&
    before.addresses.length === addresses.length &&
    before.addresses.every((old, i) => {
      const address = addresses[i];
      return (
        old.state === address?.state &&
        old.weight === address.weight &&
        old.host === address.host &&
        old.hostname === address.hostname
      );
    })
  );
}

function pickerOf(upstream: Upstream, weighted: readonly Address[], targets: number): Picker {
  // Isolates begin at different places, or they would all send their first requests to the same target.
  const start = Math.floor(Math.random() * 65_536);
  switch (upstream.algorithm) {
    case 'round-robin':
      return roundRobin(weighted, start);
    case 'consistent-hashing':
      return consistentHashing(weighted, upstream.slots, targets);
    case 'least-connections':
      return leastConnections(weighted, start);
    case 'latency':
      return latency(weighted);
  }
}
