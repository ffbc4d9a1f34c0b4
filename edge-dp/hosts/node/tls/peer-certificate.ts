import type { X509Certificate } from 'node:crypto';
import type { ClientCertificate } from '../../../proxy/request-path.ts';

/** A client's certificate, of which is read what somebody asks for. */
export class PeerCertificate implements ClientCertificate {
  readonly #certificate: X509Certificate;

  constructor(certificate: X509Certificate) {
    this.#certificate = certificate;
  }

  get pem(): string {
    return this.#certificate.toString();
  }

  get subject(): string {
    return distinguishedName(this.#certificate.subject);
  }

  get issuer(): string {
    return distinguishedName(this.#certificate.issuer);
  }

  get serial(): string {
    return this.#certificate.serialNumber.toUpperCase();
  }

  get fingerprint(): string {
    return this.#certificate.fingerprint.replaceAll(':', '').toLowerCase();
  }

  get notBefore(): string {
    return this.#certificate.validFrom;
  }

  get notAfter(): string {
    return this.#certificate.validTo;
  }
}

/**
 * RFC 2253 of what Node gives: a line for each part, the first one first, values escaped but for what is beyond ASCII. No value has a line break:
 * that is escaped, too.
 */
function distinguishedName(lines: string | undefined): string {
  const parts = (lines ?? '').split('\n').filter((line) => line !== '');
  // Several attributes of one part have an unescaped plus between them, in reverse order as well.
  const reversed = parts.reverse().map((part) =>
    part
      .split(/(?<!\\) \+ /)
      .reverse()
      .join('+'),
  );
  return reversed.join(',').replace(/[^\x20-\x7e]/gu, escaped);
}

function escaped(character: string): string {
  return Array.from(Buffer.from(character), (byte) => `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}
