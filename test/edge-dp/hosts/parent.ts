/** A host in a process of its own, for tests that kill it. Says the address and its processes on one line. */
import { startWorkerdHost } from '../../../edge-dp/hosts/workerd/host.ts';
import { GATEWAY, optionsFor } from './node.ts';

const dataPlane = await startWorkerdHost(optionsFor(String(process.argv[2]), { processes: 2 }), GATEWAY);
process.stdout.write(`${JSON.stringify({ address: dataPlane.proxyAddresses[0], pids: dataPlane.pids() })}\n`);
