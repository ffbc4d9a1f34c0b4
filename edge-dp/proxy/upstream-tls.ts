import type { Authorities } from '../plugins/runtime/authorities.ts';
import type { TlsChoice } from '../plugins/runtime/request.ts';
import type { UpstreamTlsSettings } from '../settings.ts';
import type { UpstreamTls } from './egress/egress.ts';
import type { Certificate, Service } from './entities.ts';

/**
 * What a service asks of TLS, with its certificates found; `unsaid` is what holds where it says nothing. A certificate that is not there is named instead, and so is one whose secrets are not there: the request
 * then fails, for without it the upstream would be trusted on less, or see less, than the config says.
 */
export function upstreamTls(
  service: Service,
  certificates: Pick<ReadonlyMap<string, Certificate>, 'get'>,
  caCertificates: Pick<Authorities, 'get'>,
  fallbackCertificate: string | null,
  unsaid: UpstreamTlsSettings | null,
): UpstreamTls | { readonly missing: string; readonly reason: string | null } {
  const id = service.clientCertificate ?? fallbackCertificate;
  const certificate = id === null ? undefined : certificates.get(id);
  if (id !== null && certificate === undefined) return { missing: `certificate ${id}`, reason: null };
  if (certificate !== undefined && certificate.missing !== null)
    return { missing: `certificate ${id}`, reason: certificate.missing };
  const ca: string[] = [];
  for (const caId of service.caCertificates) {
    const found = caCertificates.get(caId);
    if (found === undefined) return { missing: `CA certificate ${caId}`, reason: null };
    ca.push(found.cert);
  }
  return {
    verify: service.tlsVerify ?? (unsaid?.verify === true ? true : null),
    verifyDepth: service.tlsVerifyDepth ?? unsaid?.verifyDepth ?? null,
    ca: service.caCertificates.length > 0 ? ca : (unsaid?.ca ?? []),
    certificate: certificate === undefined ? null : { cert: certificate.cert, key: certificate.key ?? '' },
  };
}

/** As the service says. */
export const OWN_TLS: TlsChoice = { verifyTls: null, verifyDepth: null, authorities: null, certificate: null };

/** What the service asks of TLS, as plugins want it. */
export function chosenTls(own: UpstreamTls, choice: TlsChoice): UpstreamTls {
  const { verifyTls, verifyDepth, authorities, certificate } = choice;
  if (verifyTls === null && verifyDepth === null && authorities === null && certificate === null) return own;
  return {
    verify: verifyTls ?? own.verify,
    verifyDepth: verifyDepth ?? own.verifyDepth,
    ca: authorities ?? own.ca,
    certificate: certificate ?? own.certificate,
  };
}
