import { authorityError, certificateDigest, certificateError } from '../schema/formats/certificate.ts';
import { autoTimestamp, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** Certificate authorities that services, upstreams and plugins may trust. Shared by all workspaces. */
export const caCertificates = defineEntity({
  name: 'ca_certificates',
  primary_key: ['id'],
  bundle: { mode: 'eager' },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    cert: {
      type: 'string',
      custom_validator: certificateError,
      required: true,
      description: 'PEM of one CA certificate.',
    },
    // Lower-case hex SHA-256 of the certificate, filled on write.
    cert_digest: {
      type: 'string',
      unique: true,
      description: 'SHA-256 of the certificate in hexadecimal digits. Worked out from it.',
    },
    tags,
  },
  transformations: [
    {
      input: ['cert'],
      derives: true,
      on_write: async ({ cert }) => ({ cert_digest: await certificateDigest(String(cert)) }),
    },
  ],
  entity_checks: [{ custom_entity_check: { field_sources: ['cert'], fn: ({ cert }) => authorityError(String(cert)) } }],
});
