import type { Behaviour } from './behaviour.ts';
import { caCertificates } from './ca-certificates.ts';
import { certificates } from './certificates.ts';
import { customPlugins } from './custom-plugins.ts';
import { plugins } from './plugins.ts';
import { workspaces } from './workspaces.ts';

/** By entity name. Most entities are fully described by their schema and are not here. */
export const behaviours: Readonly<Record<string, Behaviour>> = {
  ca_certificates: caCertificates,
  certificates,
  custom_plugins: customPlugins,
  plugins,
  workspaces,
};
