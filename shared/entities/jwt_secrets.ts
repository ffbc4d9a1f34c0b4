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
    consumer: {
      type: 'foreign',
      reference: 'consumers',
      required: true,
      on_delete: 'cascade',
      description: 'Whose tokens these are.',
    },
    key: {
      ...headerValue,
      required: false,
      unique: true,
      auto: true,
      description:
        'What the iss claim of a token says, or another claim the plugin is told to look at. Left out: one is made up.',
    },
    secret: {
      type: 'string',
      auto: true,
      description: 'What tokens are signed with by HS256, HS384 or HS512. Left out: one is made up.',
    },
    rsa_public_key: {
      type: 'string',
      description: 'PEM of the public key that tokens are checked by with all other algorithms.',
    },
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
      description: 'By what tokens are signed. Those signed by another are refused.',
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
