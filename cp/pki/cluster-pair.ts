import { resolve } from 'node:path';

import type { Settings } from '../settings/properties.ts';
import { clusterFiles } from './gen-cert.ts';

/** The pair a node presents on the link: as set, or in role `traditional` the one made in the prefix. */
export function clusterPair(settings: Settings): { cert: string; key: string } | null {
  const { cluster_cert: cert, cluster_cert_key: key, role } = settings;
  if (cert !== null && key !== null) return { cert, key };
  if (role !== 'traditional') return null;
  const files = clusterFiles(resolve(settings.prefix));
  return { cert: files.cert, key: files.key };
}
