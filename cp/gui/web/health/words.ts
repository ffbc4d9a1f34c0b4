import type { Health } from '../../../admin/cluster/cluster-view.ts';

/** What the states of a target are called and what they mean. */
export const HEALTHS: Readonly<
  Record<Health, { readonly label: string; readonly color: string; readonly meaning: string }>
> = {
  HEALTHY: { label: 'Healthy', color: 'teal', meaning: 'gets requests' },
  UNHEALTHY: { label: 'Unhealthy', color: 'red', meaning: 'gets no requests, at one of its addresses at least' },
  HEALTHCHECKS_OFF: {
    label: 'Not checked',
    color: 'gray',
    meaning: 'gets requests: its upstream has no health checks',
  },
  DNS_ERROR: { label: 'Name unknown', color: 'red', meaning: 'gets no requests: its name leads to no address' },
};
