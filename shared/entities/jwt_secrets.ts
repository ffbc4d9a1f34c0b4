import { publicKeyContainer } from '../schema/formats/keys.ts';
import { autoTimestamp, exactly, headerValue, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** Keys that consumers' tokens are signed with. */
export const jwtSecrets = defineEntity({
  name: 'jwt_secrets',
  primary_key: ['id'],
  endpoint_key: 'key',
  cache_key: ['key'],
  workspaceable: true,
  admin_api_name: 'jwts',
  admin_api_nested_name: 'jwt',
  bundle: { mode: 'lazy', lookup: 'key' },
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    consumer: { type: 'foreign', reference: 'consumers', required: true, on_delete: 'cascade' },
    key: { ...headerValue, required: false, unique: true, auto: true },
    secret: { type: 'string', auto: true },
    rsa_public_key: { type: 'string' },
    algorithm: {
      type: 'string',
      default: 'HS256',
      one_of: [
        'HS256',
        'HS384',
        'HS512',
        'RS256',
        'RS384',
        'RS512',
        'ES256',
        'ES384',
        'ES512',
        'PS256',
        'PS384',
        'PS512',
        'EdDSA',
      ],
    },
    tags,
  },
  entity_checks: [
    {
      conditional: {
        if_field: 'algorithm',
        if_match: {
          match_any: { patterns: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'EdDSA'].map(exactly) },
        },
        then_field: 'rsa_public_key',
        then_match: { required: true, custom_validator: publicKeyError },
      },
    },
  ],
});

function publicKeyError(pem: string): string | undefined {
  return publicKeyContainer(pem) ? undefined : 'invalid key';
}
