import { Lately } from '../../shared/lately.ts';
import type { Gateway } from '../proxy/gateway.ts';
import type { ProxyRuntime } from '../proxy/runtime.ts';
import type { StreamArrival, StreamPassage } from './passage.ts';
import { Session } from './session.ts';

/** Scanners knock at every port: it is said once in a while. */
const told = new Lately();

/** Begins a session with the route it belongs to; null, and now and then a line in the log, where there is none. */
export function openSession(
  gateway: Gateway,
  runtime: ProxyRuntime,
  arrival: StreamArrival,
  serial: number | null,
): StreamPassage | null {
  const { streams, routes, services } = gateway;
  if (streams === null) return null;
  const client = runtime.clientAddress(arrival.peerIp, arrival.peerPort, null, arrival.proxied);
  const match = streams.router.match({
    ...NO_REQUEST,
    scheme: arrival.protocol,
    sni: arrival.serverName,
    sourceIp: client.ip === '' ? null : client.ip,
    sourcePort: client.port,
    destinationIp: arrival.localIp,
    destinationPort: runtime.portOf(arrival.localPort),
  });
  const route = match === null ? undefined : routes.get(match.route.id);
  if (route === undefined) {
    const what = `${arrival.protocol} on port ${arrival.localPort}${named(arrival.serverName)}`;
    if (told.isNew(what)) console.warn(`no route for ${what} from ${client.ip}: closed (said once in ten minutes)`);
    return null;
  }
  const service = route.service === null ? null : (services.get(route.service) ?? null);
  return new Session(gateway, runtime, arrival, {
    route,
    service,
    client,
    serial,
    chain: streams.plugins.ofRoute(route),
  });
}

function named(serverName: string | null): string {
  return serverName === null ? '' : ` for ${serverName.slice(0, 255)}`;
}

/** What a stream has nothing of. */
const NO_REQUEST = { method: '', host: null, path: '/', query: '', header: () => null };
