import type { BundleRow } from '../../shared/bundle/format.ts';
import { DEFAULT_GROUP } from '../../shared/bundle/format.ts';
import { type NodeSelector, parseNodeSelector, selects } from '../../shared/cluster/node-selector.ts';
import { parseTagFilter, type TagFilter } from '../../shared/tag-filter.ts';

/** What a data plane is chosen by. */
export interface NodeLabels {
  /** What it says of itself, `cluster_group` included, and what its certificate says, which wins. */
  readonly all: Readonly<Record<string, string>>;
  /** What its certificate says alone. */
  readonly certified: Readonly<Record<string, string>>;
}

/** A group as the publisher uses it. */
export interface Group {
  readonly name: string;
  readonly priority: number;
  /** Null: nobody, but for `default`. */
  readonly labels: NodeSelector | null;
  readonly certified: boolean;
  /** Null: everything. */
  readonly selection: TagFilter | null;
  /** It gets what was released to it, not what is written. */
  readonly staged: boolean;
}

const EVERYBODY: Group = {
  name: DEFAULT_GROUP,
  priority: 0,
  labels: null,
  certified: false,
  selection: null,
  staged: false,
};

/** The groups of these rows, in the order they are asked in, `default` last: it is there whether a row says so or not. */
export function groupsOf(rows: readonly BundleRow[]): readonly Group[] {
  const read = rows.map(
    ({ name, priority, labels, certified, select_tags, publish }): Group => ({
      name: String(name),
      priority: Number(priority),
      labels: typeof labels === 'string' ? parseNodeSelector(labels) : null,
      certified: certified === true,
      selection: typeof select_tags === 'string' ? parseTagFilter(select_tags) : null,
      staged: publish === 'release',
    }),
  );
  const named = read.filter(({ name }) => name !== DEFAULT_GROUP);
  named.sort((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1));
  return [...named, read.find(({ name }) => name === DEFAULT_GROUP) ?? EVERYBODY];
}

/** The group of a data plane: the first whose selector fits it. */
export function groupOf(
  groups: readonly Pick<Group, 'name' | 'labels' | 'certified'>[],
  { all, certified }: NodeLabels,
): string {
  const fitting = groups.find(
    (group) => group.labels !== null && selects(group.labels, group.certified ? certified : all),
  );
  return fitting?.name ?? DEFAULT_GROUP;
}
