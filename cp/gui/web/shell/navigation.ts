import type { IconName } from '../parts/icons.tsx';

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
    ],
  },
];
