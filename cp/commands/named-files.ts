import { loadListenerPair, tlsListeners } from '../listeners/listener-pair.ts';
import { clusterPair } from '../pki/cluster-pair.ts';
import { loadClusterTls, loadSigningKey, loadTrustedKeys } from '../pki/cluster-tls.ts';
import { MissingFile, PkiError } from '../pki/error.ts';
import { readPem } from '../pki/pem.ts';
import { loadPublicPair } from '../pki/public-pair.ts';
import { loadTrust } from '../pki/trust.ts';
import { clientTls } from '../settings/client-tls.ts';
import type { Settings } from '../settings/properties.ts';
import { LISTENER_PAIRS } from '../settings/rules.ts';

/** What `start` would find of named files, one after another. */
interface NamedFiles {
  /** What is wrong with those that are there. */
  readonly problems: readonly string[];
  /** Those that are not: settings may be written before their files, and checked on another machine. */
  readonly missing: readonly string[];
}

/** Reads the certificates and keys that the settings name; those that `start` makes itself aside. */
export async function readNamedFiles(settings: Settings): Promise<NamedFiles> {
  const { role, bundle_signing_key: signing, bundle_trusted_keys: trusted } = settings;
  const serves = role !== 'control_plane';
  const reads: (() => unknown)[] = [];
  for (const [setting, listeners] of Object.entries(LISTENER_PAIRS)) {
    const [listener] = tlsListeners(settings).filter((each) => listeners.some((one) => one === each));
    if (listener !== undefined && settings[setting as keyof typeof LISTENER_PAIRS] !== null)
      reads.push(() => loadListenerPair(settings, listener));
  }
  if (settings.cluster_cert !== null) reads.push(() => readCluster(settings));
  if (signing !== null && role !== 'data_plane') reads.push(() => loadSigningKey(signing));
  if (trusted !== null && serves) reads.push(() => loadTrustedKeys(trusted));
  if (serves) {
    reads.push(() => loadTrust(settings));
    const { dhparam } = clientTls(settings);
    if (dhparam !== null && !dhparam.startsWith('ffdhe')) reads.push(() => readPem(dhparam, 'ssl_dhparam'));
    for (const name of AUTHORITIES) {
      const { [name]: ca } = settings;
      if (ca !== null) reads.push(() => readPem(ca, name));
    }
  }
  const problems: string[] = [];
  const missing: string[] = [];
  for (const read of reads) {
    try {
      await read();
    } catch (error) {
      if (!(error instanceof PkiError)) throw error;
      (error instanceof MissingFile ? missing : problems).push(error.message);
    }
  }
  return { problems, missing };
}

/** What clients' and upstreams' certificates must chain to. */
const AUTHORITIES = [
  'nginx_http_ssl_client_certificate',
  'nginx_stream_ssl_client_certificate',
  'nginx_http_proxy_ssl_trusted_certificate',
  'nginx_stream_proxy_ssl_trusted_certificate',
] as const;

function readCluster(settings: Settings): void {
  const pair = clusterPair(settings);
  if (pair === null) return;
  const end = settings.role === 'data_plane' ? 'client' : 'server';
  const { leaf } = loadClusterTls({ mode: settings.cluster_mtls, ...pair, ca: settings.cluster_ca_cert, end });
  if (end === 'server') loadPublicPair(settings, leaf);
}
