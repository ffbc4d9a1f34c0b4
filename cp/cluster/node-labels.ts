import { DEFAULT_GROUP } from '../../shared/bundle/format.ts';
import { labelsFault } from '../../shared/cluster/labels.ts';
import type { NodeDescription } from '../../shared/cluster/messages.ts';
import { LABEL_URN } from '../pki/names.ts';
import type { NodeLabels } from '../publisher/groups.ts';

/** As Node writes it. */
const LABEL = new RegExp(`^URI:${LABEL_URN}([^=]+)=(.+)$`);

/** The labels in a certificate, by its subject alternative names as Node writes them (RFC 5280, 4.2.1.6). */
export function certifiedLabels(subjectAltName: string | undefined): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  // Names with a comma or a quote within are quoted there: none of those is a label.
  for (const name of (subjectAltName ?? '').split(', ')) {
    const [, key, value] = LABEL.exec(name) ?? [];
    if (key === undefined || value === undefined || labelsFault({ [key]: value }) !== null) continue;
    labels[key] = value;
  }
  return labels;
}

/** What a data plane is chosen by: what it says, and what the authority of the cluster says of it, which wins. */
export function labelsOf(
  { labels, group }: Pick<NodeDescription, 'labels' | 'group'>,
  certified: Readonly<Record<string, string>>,
): NodeLabels {
  const own = group === DEFAULT_GROUP ? {} : { cluster_group: group };
  return { all: { ...labels, ...own, ...certified }, certified };
}
