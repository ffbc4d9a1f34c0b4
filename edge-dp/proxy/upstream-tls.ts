import type { UpstreamTls } from './egress/egress.ts';
import type { Certificate, Service } from './entities.ts';

/**
 * What a service asks of TLS, with its certificates found. A certificate that is not there is named instead: the request
 * then fails, for without it the upstream would be trusted on less, or see less, than the config says.
 */
export function upstreamTls(
  service: Service,
  certificates: Pick<ReadonlyMap<string, Certificate>, 'get'>,
  caCertificates: Pick<ReadonlyMap<string, Certificate>, 'get'>,
  fallbackCertificate: string | null,
): UpstreamTls | { readonly missing: string } {
  const id = service.clientCertificate ?? fallbackCertificate;
  const certificate = id === null ? undefined : certificates.get(id);
  if (id !== null && certificate === undefined) return { missing: `certificate ${id}` };
  const ca: string[] = [];
  for (const caId of service.caCertificates) {
    const found = caCertificates.get(caId);
    if (found === undefined) return { missing: `CA certificate ${caId}` };
    ca.push(found.cert);
  }
  return {
    verify: service.tlsVerify,
    verifyDepth: service.tlsVerifyDepth,
    ca,
    certificate: certificate === undefined ? null : { cert: certificate.cert, key: certificate.key ?? '' },
  };
}
