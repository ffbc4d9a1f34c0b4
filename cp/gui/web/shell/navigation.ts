import { KINDS } from '../config/kinds.ts';
import type { IconName } from '../parts/icon-paths.ts';

interface NavigationGroup {
  readonly title: string;
  readonly pages: readonly { readonly to: string; readonly label: string; readonly icon: IconName }[];
}

/** The menu. */
export const NAVIGATION: readonly NavigationGroup[] = [
  {
    title: 'Gateway',
    pages: [
      { to: '/', label: 'Overview', icon: 'overview' },
      { to: '/data-planes', label: 'Data planes', icon: 'nodes' },
      { to: '/traffic', label: 'Traffic', icon: 'traffic' },
      { to: '/changes', label: 'Changes', icon: 'changes' },
      { to: '/releases', label: 'Releases', icon: 'releases' },
      { to: '/replay', label: 'Replay', icon: 'replay' },
      { to: '/explain', label: 'Explain', icon: 'explain' },
      { to: '/transfer', label: 'Import and export', icon: 'transfer' },
    ],
  },
  { title: 'Config', pages: pagesOf(['services', 'routes', 'plugins', 'consumers', 'upstreams', 'certificates']) },
  {
    title: 'More config',
    pages: pagesOf([
      'consumer_groups',
      'snis',
      'ca_certificates',
      'key-sets',
      'keys',
      'vaults',
      'custom-plugins',
      'groups',
      'workspaces',
    ]),
  },
];

function pagesOf(slugs: readonly string[]): NavigationGroup['pages'] {
  return slugs.flatMap((slug) => {
    const kind = KINDS.find((one) => one.slug === slug);
    return kind === undefined ? [] : [{ to: `/config/${slug}`, label: kind.plural, icon: kind.icon }];
  });
}
