import { certificateError, keyFitsCertificate, keyTypeOf, privateKeyError } from '../schema/formats/certificate.ts';
import { autoTimestamp, tags, uuid, wildcardHost } from '../schema/kinds.ts';
import { defineEntity, defineField, type EntityCheck, type FieldErrors } from '../schema/vocabulary.ts';

const certificate = defineField({ type: 'string', custom_validator: certificateError, referenceable: true });
const key = defineField({ type: 'string', custom_validator: privateKeyError, referenceable: true, encrypted: true });

/** A certificate with its private key, served by SNI or presented to upstreams; `_alt` is a second of another type. */
export const certificates = defineEntity({
  name: 'certificates',
  primary_key: ['id'],
  workspaceable: true,
  bundle: { mode: 'eager' },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    cert: { ...certificate, required: true, description: 'PEM, with the certificates between it and the CA.' },
    key: {
      ...key,
      required: true,
      description: 'PEM. It is kept by the control plane and sent to data planes that need it.',
    },
    cert_alt: {
      ...certificate,
      required: false,
      description: 'A second one with another type of key, as ECDSA beside RSA.',
    },
    key_alt: { ...key, required: false, description: 'PEM of the key of the second certificate.' },
    tags,
    // Kept as rows of `snis`.
    snis: {
      type: 'array',
      elements: wildcardHost,
      required: false,
      transient: true,
      custom_validator: duplicateError,
      description: 'Host names it is shown for.',
    },
  },
  entity_checks: [
    { mutually_required: ['cert_alt', 'key_alt'] },
    keyFits('cert', 'key', 'certificate does not match key'),
    keyFits('cert_alt', 'key_alt', 'alternative certificate does not match key'),
    { custom_entity_check: { field_sources: ['cert', 'cert_alt'], fn: sameTypeError } },
  ],
});

function keyFits(certField: string, keyField: string, mismatch: string): EntityCheck {
  const fn = async (row: Readonly<Record<string, unknown>>): Promise<string | FieldErrors | undefined> => {
    const cert = row[certField];
    const key = row[keyField];
    if (typeof cert !== 'string' || typeof key !== 'string') return undefined;
    const fits = await keyFitsCertificate(cert, key);
    if (fits === undefined) return { [keyField]: 'invalid key: cannot be loaded' };
    return fits ? undefined : mismatch;
  };
  return { custom_entity_check: { field_sources: [certField, keyField], fn } };
}

function sameTypeError({ cert, cert_alt }: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof cert !== 'string' || typeof cert_alt !== 'string' || keyTypeOf(cert) !== keyTypeOf(cert_alt)) {
    return undefined;
  }
  return (
    'certificate and alternative certificate need to have different type (e.g. RSA and ECDSA), ' +
    'the provided certificates were both of the same type'
  );
}

function duplicateError(names: readonly unknown[]): string | undefined {
  const compared = names.map((name) => String(name).toLowerCase());
  const twice = names.find((_name, i) => compared.indexOf(compared[i] ?? '') < i);
  return twice === undefined ? undefined : `${String(twice)} is duplicated`;
}
