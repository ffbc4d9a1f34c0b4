/** A ring as it is written in a form: what is empty is left to the control plane. */
export interface RingDraft {
  /** Tells it from others while it is written. */
  readonly key: number;
  readonly labels: string;
  readonly percent: number | '';
  readonly hold: number | '';
  /** Of the requests of its data planes; empty: all of them. */
  readonly share: number | '';
  readonly gates: Readonly<Record<GateName, number | ''>>;
}

export type GateName =
  | 'max_nack'
  | 'min_nodes'
  | 'max_gone_increase'
  | 'max_5xx_increase'
  | 'max_p99_ratio'
  | 'min_requests';

/** The gates of a ring in words, with what is taken where nothing is said. */
export const GATES: readonly {
  readonly name: GateName;
  readonly label: string;
  readonly initial: string;
  readonly least: number;
}[] = [
  { name: 'max_nack', label: 'Data planes that may refuse it', initial: '0', least: 0 },
  { name: 'min_nodes', label: 'Data planes that must have it', initial: '0', least: 0 },
  { name: 'max_gone_increase', label: 'More that left, in percentage points', initial: '50', least: 0 },
  { name: 'max_5xx_increase', label: 'More 5xx, in percentage points', initial: '5', least: 0 },
  { name: 'max_p99_ratio', label: 'Times as slow (p99)', initial: '5', least: 1 },
  { name: 'min_requests', label: 'Requests to wait for', initial: 'none', least: 1 },
];

const NO_GATES: RingDraft['gates'] = {
  max_nack: '',
  min_nodes: '',
  max_gone_increase: '',
  max_5xx_increase: '',
  max_p99_ratio: '',
  min_requests: '',
};

/** What a ring has where a refusal names a member, as in `.nodes.labels`. */
export function memberOf(ring: RingDraft, member: string): string | number | undefined {
  const gate = GATES.find(({ name }) => member === `.gates.${name}`);
  if (gate !== undefined) return ring.gates[gate.name];
  const { labels, percent, share, hold } = ring;
  const members = { '.nodes.labels': labels, '.nodes.percent': percent, '.traffic.percent': share, '.hold': hold };
  return Object.entries(members).find(([name]) => name === member)?.[1];
}

export function newRing(key: number, percent: number | ''): RingDraft {
  return { key, labels: '', percent, hold: 300, share: '', gates: NO_GATES };
}

/** Rings as `POST /releases` takes them. `by`: what tells requests apart, in all rings that have a share of them. */
export function strategyOf(rings: readonly RingDraft[], by: string): readonly object[] {
  return rings.map(({ labels, percent, hold, share, gates }) => {
    const said = Object.entries(gates).filter(([, value]) => value !== '');
    return {
      nodes: {
        ...(labels.trim() !== '' && { labels: labels.trim() }),
        ...(percent !== '' && { percent }),
      },
      ...(share !== '' && { traffic: { percent: share, by: by.trim() } }),
      ...(hold !== '' && { hold }),
      ...(said.length > 0 && { gates: Object.fromEntries(said) }),
    };
  });
}

/** A time as an input of the browser writes it, in seconds since 1970; null: none. */
export function timeOf(local: string): number | null {
  const at = local === '' ? Number.NaN : new Date(local).getTime();
  return Number.isNaN(at) ? null : Math.floor(at / 1000);
}
