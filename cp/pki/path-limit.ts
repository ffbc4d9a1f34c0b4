import { X509Certificate } from 'node:crypto';
import { readElements, readSequence, TAG, write } from '../../shared/schema/formats/der.ts';
import { PkiError } from './error.ts';

type Bytes = Uint8Array<ArrayBuffer>;

/** The tag of a certificate's extensions (RFC 5280, 4.1). */
const EXTENSIONS = 0xa3;
/** basicConstraints, 2.5.29.19, as DER has it. */
const BASIC_CONSTRAINTS = Buffer.from([0x55, 0x1d, 0x13]);

/**
 * A CA certificate, in PEM, as a trust anchor below which OpenSSL takes no path with more than `most` intermediates: with a
 * pathLenConstraint (RFC 5280, 4.2.1.9) where its own is higher or absent. Node has no option for how deep it verifies, and
 * shows a server no chain. The signature is that of before and need not fit: of an anchor name, key and constraints count.
 * What another CA has signed stays as it is, since paths go on from it.
 *
 * BoringSSL, that of workerd, takes such an anchor too, but asks no certificate for its path length that names itself as
 * its issuer; one that named another would not be found by those that say who issued their issuer (authorityCertIssuer).
 */
export function withPathLimit(pem: string, most: number): string {
  const certificate = new X509Certificate(pem);
  if (!certificate.checkIssued(certificate) || !certificate.verify(certificate.publicKey)) return pem;
  const [signed, ...signature] = must(readSequence(new Uint8Array(certificate.raw)));
  const fields = must(readElements(must(signed).content)).map(({ tag, content }) =>
    write(tag, tag === EXTENSIONS ? limited(content, most) : content),
  );
  const rest = signature.map(({ tag, content }) => write(tag, content));
  return new X509Certificate(write(TAG.sequence, write(TAG.sequence, ...fields), ...rest)).toString();
}

/** Extensions of a CA certificate, with the limit in its basicConstraints. */
function limited(extensions: Bytes, most: number): Bytes {
  const all = must(readSequence(extensions)).map(({ tag, content }) => {
    const parts = must(readElements(content));
    if (!BASIC_CONSTRAINTS.equals(must(parts[0]).content)) return write(tag, content);
    const [ca, own] = must(readSequence(must(parts.at(-1)).content));
    const length = own === undefined || own.content.length > 1 ? most : Math.min(most, own.content[0] ?? most);
    const constraints = write(
      TAG.sequence,
      write(must(ca).tag, must(ca).content),
      write(TAG.integer, Uint8Array.of(length)),
    );
    return write(
      tag,
      ...parts.slice(0, -1).map((part) => write(part.tag, part.content)),
      write(TAG.octets, constraints),
    );
  });
  return write(TAG.sequence, ...all);
}

function must<T>(part: T | undefined): T {
  if (part === undefined) throw new PkiError('cluster_ca_cert: not a certificate in DER');
  return part;
}
