import { LuaNative, results } from '../../shared/lua/value.ts';
import { messageOf } from '../../shared/thrown.ts';
import { decodeToken, verificationKey } from '../plugins/json-web-token.ts';
import { fromJson } from './json.ts';

/** For `kong.plugins.jwt.jwt_parser`: a token taken apart, nothing verified; or nil and what is wrong with it. */
export const jwtDecode = new LuaNative('jwt_decode', (call) => {
  const token = call.text(1);
  call.charge(token.length / 2);
  const decoded = decodeToken(token);
  if ('refused' in decoded) return results(undefined, decoded.refused);
  const { header, claims, signature } = decoded;
  return { header: fromJson(header), claims: fromJson(claims), signature };
});

/** Whether a token is signed with a key: a secret for HS…, else a public key in PEM. */
export const jwtVerify = new LuaNative(
  'jwt_verify',
  async (call) => {
    call.charge(A_SIGNATURE);
    const decoded = decodeToken(call.text(1));
    if ('refused' in decoded) return false;
    try {
      return await verificationKey(decoded.algorithm, call.bytes(2), call.text(2)).verify(decoded);
    } catch (error) {
      return results(false, messageOf(error));
    }
  },
  true,
);

/** What verifying one costs, in instructions. */
const A_SIGNATURE = 3000;
