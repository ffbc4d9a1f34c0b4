import { X509Certificate } from 'node:crypto';
import { certificatesOf } from '../../shared/pem.ts';
import type { LogLevel } from '../instance/log-levels.ts';
import { LISTENER_CERTIFICATES, loadListenerPair, tlsListeners } from '../listeners/listener-pair.ts';
import type { Settings } from '../settings/properties.ts';
import { clusterPair } from './cluster-pair.ts';
import { datesFault, oneLine } from './cluster-tls.ts';
import { readPem } from './pem.ts';

/** A certificate this node works with. */
export interface CertificateInUse {
  readonly setting: string;
  readonly subject: string;
  /** ISO 8601. */
  readonly validFrom: string;
  readonly validTo: string;
}

/** Days before the end at which a certificate is spoken of. */
const DAYS_AHEAD = 30;
const DAY = 86_400_000;

/** The certificates of the link and of the TLS listeners this role opens. Throws `PkiError`. */
export function certificatesInUse(settings: Settings): readonly CertificateInUse[] {
  const pair = clusterPair(settings);
  const ca = settings.cluster_mtls === 'pki' ? settings.cluster_ca_cert : null;
  const shown = settings.role === 'data_plane' ? null : settings.cluster_server_cert;
  return [
    ...(pair === null ? [] : certificatesOf(readPem(pair.cert, 'cluster_cert')).map(described('cluster_cert'))),
    ...(ca === null ? [] : certificatesOf(readPem(ca, 'cluster_ca_cert')).map(described('cluster_ca_cert'))),
    ...(shown === null
      ? []
      : certificatesOf(readPem(shown, 'cluster_server_cert')).map(described('cluster_server_cert'))),
    ...tlsListeners(settings).flatMap((listener) =>
      certificatesOf(loadListenerPair(settings, listener).cert).map(described(LISTENER_CERTIFICATES[listener])),
    ),
  ];
}

function described(setting: string): (pem: string) => CertificateInUse {
  return (pem) => {
    const { subject, validFromDate, validToDate } = new X509Certificate(pem);
    return {
      setting,
      subject: oneLine(subject),
      validFrom: validFromDate.toISOString(),
      validTo: validToDate.toISOString(),
    };
  };
}

/** What is to be said about a certificate's dates at `now`, and how loudly; null while all is well. */
export function datesNotice(
  { setting, subject, validFrom, validTo }: CertificateInUse,
  now: Date,
): { readonly level: LogLevel; readonly message: string } | null {
  const named = `${setting}: certificate '${subject}'`;
  const remedy = "put a new one in its place and run 'holdfast reload'";
  const fault = datesFault({ validFromDate: new Date(validFrom), validToDate: new Date(validTo) }, now);
  if (fault !== null) {
    const consequence = setting.startsWith('cluster_')
      ? 'the planes refuse each other, and data planes serve the last config they have'
      : 'clients refuse it';
    return { level: 'error', message: `${named} ${fault}: ${consequence}; ${remedy}` };
  }
  const days = Math.floor((Date.parse(validTo) - now.getTime()) / DAY);
  if (days >= DAYS_AHEAD) return null;
  const left = days === 0 ? 'less than a day' : days === 1 ? '1 day' : `${days} days`;
  return { level: 'warn', message: `${named} expires in ${left}, at ${validTo}; ${remedy}` };
}
