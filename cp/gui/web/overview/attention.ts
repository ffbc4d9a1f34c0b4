import type { DataPlaneRecord } from '../../../admin/cluster/cluster-view.ts';
import type { Expiration, Group, Status } from '../admin/shapes.ts';
import { dateAndTime } from '../parts/time.ts';

/** Something that waits for somebody. */
export interface Matter {
  readonly key: string;
  readonly urgent: boolean;
  readonly title: string;
  readonly text: string;
  /** The data planes it is about. */
  readonly nodes: readonly { readonly id: string; readonly hostname: string }[];
  /** The rows of the config it is about, by kind of entity as in addresses. */
  readonly rows?: readonly { readonly kind: string; readonly id: string; readonly name: string }[];
}

const DAY = 86_400;
/** Certificates are told of when they have this long. */
const SOON = 30 * DAY;

/** What is refused, withheld or about to end, the urgent first. `now` in seconds since 1970. */
export function mattersOf(
  nodes: readonly DataPlaneRecord[],
  groups: readonly Group[],
  status: Status | undefined,
  now: number,
  expirations: readonly Expiration[] = [],
): readonly Matter[] {
  const matters: Matter[] = [];
  if (status?.database.reachable === false) {
    matters.push({
      key: 'database',
      urgent: true,
      title: 'The database does not answer',
      text: 'Nothing can be written until it is back. Data planes keep the config they have.',
      nodes: [],
    });
  }
  const troubled = groups.filter(({ trouble }) => trouble !== null);
  for (const { name, trouble } of troubled) {
    const title = `Nothing newer is published to group ${name}`;
    matters.push({ key: `group ${name}`, urgent: true, title, text: trouble ?? '', nodes: [] });
  }
  const unpublished = status?.data_planes?.unpublished ?? null;
  if (unpublished !== null && !troubled.some(({ trouble }) => trouble === unpublished)) {
    matters.push({
      key: 'unpublished',
      urgent: true,
      title: 'What was written last is not published',
      text: unpublished,
      nodes: [],
    });
  }
  const told = new Set(troubled.map(({ trouble }) => trouble));
  const reasons = Map.groupBy(
    nodes.filter((node) => node.rejection_reason !== null && !told.has(node.rejection_reason)),
    (node) => node.rejection_reason ?? '',
  );
  for (const [reason, refusing] of reasons) {
    const title =
      refusing.length === 1
        ? 'A data plane keeps an older config'
        : `${refusing.length} data planes keep an older config`;
    matters.push({ key: `reason ${reason}`, urgent: true, title, text: reason, nodes: refusing });
  }
  for (const node of nodes) {
    if (node.refused_claim !== null && now - node.refused_claim.at < 7 * DAY) {
      matters.push({
        key: `claim ${node.id}`,
        urgent: false,
        title: 'Somebody else said to be a data plane that is known, and was refused',
        text: `${dateAndTime(node.refused_claim.at)}, from ${node.refused_claim.ip ?? 'an unknown address'}`,
        nodes: [node],
      });
    }
  }
  const ending = nodes.filter(
    ({ cert_details: certificate }) => certificate !== null && certificate.expiry_timestamp < now + SOON,
  );
  const first = Math.min(...ending.map((node) => node.cert_details?.expiry_timestamp ?? 0));
  if (ending.length > 0) {
    matters.push({
      key: 'certificates',
      urgent: first < now + 3 * DAY,
      title:
        ending.length === 1
          ? 'The certificate of a data plane expires soon'
          : `The certificates of ${ending.length} data planes expire soon`,
      text: `The first on ${dateAndTime(first)}. A data plane whose certificate has expired gets no more config.`,
      nodes: ending,
    });
  }
  return [...matters, ...endingRows(expirations, now)].sort((a, b) => Number(b.urgent) - Number(a.urgent));
}

const ENDING = [
  {
    entity: 'certificates',
    kind: 'certificates',
    one: 'certificate',
    after: 'Clients that check it are refused from then on.',
  },
  {
    entity: 'ca_certificates',
    kind: 'ca_certificates',
    one: 'CA certificate',
    after: 'What it vouches for is not trusted from then on.',
  },
  {
    entity: 'keyauth_credentials',
    kind: 'key-auths',
    one: 'API key',
    after: 'Who calls with it is refused from then on.',
  },
] as const;

/** Certificates and API keys that are over, or will be soon, each kind as one matter. */
function endingRows(expirations: readonly Expiration[], now: number): readonly Matter[] {
  return ENDING.flatMap(({ entity, kind, one, after }) => {
    const all = expirations.filter((row) => row.entity === entity);
    return [true, false].flatMap((isOver) => {
      const rows = all.filter(({ expires_at: end }) => end <= now === isOver);
      const [first] = rows;
      if (first === undefined) return [];
      const many = rows.length === 1 ? `${article(one)} ${one}` : `${rows.length} ${one}s`;
      const when = `${rows.length === 1 ? 'On' : 'The first on'} ${dateAndTime(first.expires_at)}.`;
      const verb = rows.length === 1 ? ['has expired', 'expires soon'] : ['have expired', 'expire soon'];
      return [
        {
          key: `${entity} ${isOver}`,
          urgent: isOver || first.expires_at < now + 3 * DAY,
          title: `${many} ${verb[isOver ? 0 : 1]}`,
          text: isOver ? when : `${when} ${after}`,
          nodes: [],
          rows: rows.map(({ id, name, workspace }) => ({
            kind,
            id,
            name: `${name ?? id}${workspace === null || workspace === 'default' ? '' : ` in workspace ${workspace}`}`,
          })),
        },
      ];
    });
  });
}

const article = (noun: string): string => (/^[aeiou]/i.test(noun) ? 'An' : 'A');
