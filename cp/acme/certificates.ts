import { X509Certificate } from 'node:crypto';
import { isRecord, type Row } from '../../shared/record.ts';
import type { Workspace } from '../store/store.ts';

/** What Kong marks the certificates and server names with that it makes itself. */
const TAG = 'managed-by-acme';

/** A certificate as it is kept for a name. */
export interface KeptCertificate {
  readonly id: string;
  /** PEM, chain included. */
  readonly cert: string;
  readonly key: string;
}

/** The certificate that is served for a name; null: none is, or it cannot be read. */
export async function certificateOf(workspace: Workspace, host: string): Promise<KeptCertificate | null> {
  const sni = await workspace.entity('snis').select({ field: 'name', value: host });
  const id = isRecord(sni?.certificate) ? String(sni.certificate.id) : null;
  const row = id === null ? null : await workspace.entity('certificates').select({ id });
  if (id === null || typeof row?.cert !== 'string' || typeof row.key !== 'string') return null;
  return parsed(row.cert) === null ? null : { id, cert: row.cert, key: row.key };
}

/** Has a certificate served for a name, in place of the one before, in one step. */
export async function keepCertificate(workspace: Workspace, host: string, cert: string, key: string): Promise<void> {
  await workspace.transaction(async (inside) => {
    const before = await inside.entity('snis').select({ field: 'name', value: host });
    const certificate = await inside.entity('certificates').insert({ cert, key, tags: [TAG] });
    const row = { certificate: { id: certificate.id }, tags: [TAG] };
    await inside.entity('snis').upsert({ field: 'name', value: host }, row);
    const old = isRecord(before?.certificate) ? String(before.certificate.id) : null;
    if (old !== null && (await isUnused(inside, old))) await inside.entity('certificates').delete({ id: old });
  });
}

/** Whether a certificate was made by ACME, and has no names left. */
async function isUnused(workspace: Workspace, id: string): Promise<boolean> {
  const row = await workspace.entity('certificates').select({ id });
  const { rows } = await workspace.entity('snis').page({ parent: { field: 'certificate', id }, size: 1 });
  return Array.isArray(row?.tags) && row.tags.includes(TAG) && rows.length === 0;
}

/** Whether it is time for a new one: so many days before its end, at the latest when a third of its life is left. */
export function isDue({ cert }: KeptCertificate, thresholdDays: number, now = Date.now()): boolean {
  const certificate = parsed(cert);
  if (certificate === null) return true;
  const end = certificate.validToDate.getTime();
  const life = end - certificate.validFromDate.getTime();
  return now >= end - Math.min(thresholdDays * DAY, life / 3);
}

const DAY = 86_400_000;

/** A certificate in the words of Kong's `/acme/certificates`. */
export function describeCertificate(host: string, { cert }: KeptCertificate, now = new Date()): Row {
  const certificate = new X509Certificate(cert);
  const { validFromDate, validToDate, issuer, fingerprint, serialNumber } = certificate;
  return {
    digest: fingerprint,
    host,
    issuer_cn: /^CN=(.*)$/m.exec(issuer)?.[1] ?? '',
    not_before: plainTime(validFromDate),
    not_after: plainTime(validToDate),
    valid: validFromDate < now && now < validToDate,
    serial_number: serialNumber.replace(/(..)(?=.)/g, '$1:'),
    pubkey_type: certificate.publicKey.asymmetricKeyType === 'rsa' ? 'rsaEncryption' : 'id-ecPublicKey',
  };
}

/** `2026-01-02 03:04:05`, in UTC. */
function plainTime(date: Date): string {
  return date.toISOString().slice(0, 19).replace('T', ' ');
}

function parsed(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}
