import type { DataPlaneRecord } from '../../../admin/cluster/cluster-view.ts';
import type { Group, Status } from '../admin/shapes.ts';
import { dateAndTime } from '../parts/time.ts';

/** Something that waits for somebody. */
export interface Matter {
  readonly key: string;
  readonly urgent: boolean;
  readonly title: string;
  readonly text: string;
  /** The data planes it is about. */
  readonly nodes: readonly { readonly id: string; readonly hostname: string }[];
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
  return matters.sort((a, b) => Number(b.urgent) - Number(a.urgent));
}
