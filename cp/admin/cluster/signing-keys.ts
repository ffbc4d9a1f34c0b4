import type { PublicKeyJwk } from '../../../shared/bundle/format.ts';
import { publicKey } from '../../../shared/bundle/public-key.ts';
import { ShapeError } from '../../../shared/bundle/shape.ts';
import { KeyRefusal, type SigningRing } from '../../keys/signing-ring.ts';
import { objectOf } from '../openapi/description.ts';
import { created, message, noContent, ok, Refusal, type Reply } from '../reply.ts';
import { type AdminRoute, type Call, param } from '../route.ts';

const KEY = objectOf({
  kid: { type: 'string' },
  state: { enum: ['signing', 'trusted', 'revoked'] },
  here: { type: 'boolean' },
});

/** `/signing-keys`: the keys that bundles are signed with. Private halves never leave the control plane this way. */
export function signingKeyRoutes(ring: SigningRing | null): AdminRoute[] {
  const withRing = (work: (ring: SigningRing, call: Call) => Promise<Reply> | Reply) => async (call: Call) => {
    if (ring === null) return message(503, 'this control plane signs nothing');
    try {
      return await work(ring, call);
    } catch (error) {
      if (error instanceof KeyRefusal) return message(error.status, error.message);
      throw error;
    }
  };
  return [
    {
      path: '/signing-keys',
      methods: {
        GET: {
          describe: {
            summary: 'The keys that bundles are signed with, and what new data planes are to be given',
            tag: 'cluster',
            success: {
              status: 200,
              schema: objectOf({ keys: { type: 'array', items: KEY }, trusted_keys: { type: 'object' } }),
            },
            errors: [503],
          },
          handle: withRing(async (keys) => {
            await keys.follow();
            const listed = keys.list();
            const trusted = listed.filter(({ state }) => state !== 'revoked').map((key) => key.public_key);
            return ok({ keys: listed, trusted_keys: { cluster: keys.cluster, keys: trusted } });
          }),
        },
        POST: {
          describe: {
            summary: 'Sign with a new key from now on, or have data planes trust a spare one',
            tag: 'cluster',
            body: {
              required: false,
              schema: { type: 'object', properties: { by_hand: { type: 'boolean' }, spare: { type: 'object' } } },
            },
            success: { status: 201, schema: objectOf({ kid: { type: 'string' } }) },
            errors: [400, 409, 503],
          },
          handle: withRing(async (keys, { body }) => {
            // What a form says would be passed over, and a key made that was not asked for.
            if (body.kind !== 'json') return message(400, 'expected a JSON body');
            const { by_hand: byHand = false, spare, ...rest } = body.args;
            const [unknown] = Object.keys(rest);
            if (unknown !== undefined) return message(400, `unknown member '${unknown}': there are by_hand and spare`);
            if (typeof byHand !== 'boolean') return message(400, 'by_hand: expected true or false');
            if (spare === undefined) return created(await keys.rotate(byHand));
            const key = spareOf(spare);
            await keys.spare(key);
            return created({ kid: key.kid });
          }),
        },
      },
    },
    {
      path: '/signing-keys/{kid}',
      methods: {
        DELETE: {
          describe: {
            summary: 'Have no data plane believe a key any more',
            tag: 'cluster',
            success: { status: 204 },
            errors: [404, 409, 503],
          },
          handle: withRing(async (keys, call) => {
            await keys.revoke(param(call, 'kid'));
            return noContent;
          }),
        },
      },
    },
  ];
}

function spareOf(value: unknown): PublicKeyJwk {
  try {
    return publicKey(value, 'spare');
  } catch (error) {
    if (error instanceof ShapeError) throw new Refusal(message(400, error.message));
    throw error;
  }
}
