import { connect } from 'cloudflare:sockets';
import type { Network } from './network.ts';

/** The way out where the host has no `NETWORK` service: Cloudflare's own, which is the global one. */
export const internet: Network = { fetch: (input, init) => fetch(input, init), connect };
