import { createHash, X509Certificate } from 'node:crypto';
import { readElements, readSequence, TAG, write } from '../../../../shared/schema/formats/der.ts';

/** What is asked of a responder about a certificate (RFC 6960). */
export interface OcspQuestion {
  /** The responder that the certificate names. */
  readonly url: string;
  /** DER. */
  readonly request: Uint8Array<ArrayBuffer>;
  readonly serial: Buffer;
}

/** Says that a certificate is good, for a time: milliseconds since the epoch. */
export interface OcspAnswer {
  readonly from: number;
  /** Null: newer information is available at any time. */
  readonly until: number | null;
}

const SHA1 = Buffer.from([0x2b, 0x0e, 0x03, 0x02, 0x1a]);
const GENERALIZED_TIME = 0x18;
const GOOD = 0x80;

/** The question about the first certificate of a chain; a text: why nobody can be asked. */
export function questionOf(chain: string): OcspQuestion | string {
  const [leaf, issuer] = (chain.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []).map(
    (pem) => new X509Certificate(pem),
  );
  if (leaf === undefined) return 'there is no certificate';
  const [, url] = /OCSP - URI:"?(https?:\/\/[^\s"]+)/.exec(leaf.infoAccess ?? '') ?? [];
  if (url === undefined) return 'it names no responder';
  if (issuer === undefined) return 'its chain lacks the certificate of its issuer';
  const { issuerName, serial } = fieldsOf(leaf);
  const id = write(
    TAG.sequence,
    write(TAG.sequence, write(TAG.oid, SHA1), write(TAG.null)),
    write(TAG.octets, sha1(issuerName)),
    write(TAG.octets, sha1(fieldsOf(issuer).publicKey)),
    write(TAG.integer, serial),
  );
  const requests = write(TAG.sequence, write(TAG.sequence, id));
  return { url, request: write(TAG.sequence, write(TAG.sequence, requests)), serial: Buffer.from(serial) };
}

/** What an answer says of the certificate asked about; a text: why it cannot be shown to clients. */
export function answerTo({ serial }: OcspQuestion, bytes: Uint8Array<ArrayBuffer>): OcspAnswer | string {
  const [status, wrapped] = readSequence(bytes) ?? [];
  if (status === undefined) return 'no OCSP response';
  if (status.content[0] !== 0) return `the responder answers with status ${status.content[0]}`;
  const [, basic] = readSequence(wrapped?.content ?? NOTHING) ?? [];
  const [data] = readSequence(basic?.content ?? NOTHING) ?? [];
  const fields = readElements(data?.content ?? NOTHING) ?? [];
  const responses = readElements(fields.findLast(({ tag }) => tag === TAG.sequence)?.content ?? NOTHING) ?? [];
  for (const response of responses) {
    const [id, state, from, until] = readElements(response.content) ?? [];
    const asked = readElements(id?.content ?? NOTHING)?.[3];
    if (asked === undefined || !serial.equals(asked.content)) continue;
    if (state?.tag !== GOOD) return 'the certificate is not good';
    const [next] = until?.tag === TAG.context0 ? (readElements(until.content) ?? []) : [];
    const begins = timeOf(from);
    if (begins === null) return 'an answer without a time';
    return { from: begins, until: timeOf(next) };
  }
  return 'an answer about other certificates';
}

const NOTHING = new Uint8Array();

/** Throws for what is no certificate. */
function fieldsOf({ raw }: X509Certificate): {
  readonly serial: Uint8Array<ArrayBuffer>;
  readonly issuerName: Uint8Array;
  readonly publicKey: Uint8Array;
} {
  const [tbs] = readSequence(new Uint8Array(raw)) ?? [];
  const fields = readElements(tbs?.content ?? NOTHING) ?? [];
  // The version may be left out, and is the one tagged field before these.
  const [serial, , issuer, , , key] = fields[0]?.tag === TAG.context0 ? fields.slice(1) : fields;
  const [, bits] = readElements(key?.content ?? NOTHING) ?? [];
  if (serial === undefined || issuer === undefined || bits === undefined) throw new Error('no certificate');
  // A bit string begins with the number of bits that are not used.
  return { serial: serial.content, issuerName: write(issuer.tag, issuer.content), publicKey: bits.content.subarray(1) };
}

/** `YYYYMMDDHHMMSSZ`; null: it is none. */
function timeOf(element: { readonly tag: number; readonly content: Uint8Array } | undefined): number | null {
  if (element?.tag !== GENERALIZED_TIME) return null;
  const text = Buffer.from(element.content).toString('latin1');
  const time = Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.\d+)?Z$/, '$1-$2-$3T$4:$5:$6Z'));
  return Number.isNaN(time) ? null : time;
}

function sha1(bytes: Uint8Array): Buffer {
  return createHash('sha1').update(bytes).digest();
}
