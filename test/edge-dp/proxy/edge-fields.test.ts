import { expect, it } from 'vitest';

import { edgeFields } from '../../../edge-dp/proxy/edge-fields.ts';
import { edgeTls } from '../../../edge-dp/proxy/edge-tls.ts';
import { checkExpression } from '../../../shared/atc/check.ts';

it('gives the edge fields expressions know, from what Cloudflare says of a request', () => {
  const cf = { country: 'NZ', asn: 64500, asOrganization: 'Example', regionCode: 'WGN', httpProtocol: 'HTTP/3' };
  const fields = edgeFields(cf);
  expect(fields).toMatchObject({ country: 'NZ', asn: 64500, as_organization: 'Example', region_code: 'WGN' });
  for (const field of Object.keys(fields)) {
    const expression = `edge.${field} == ${field === 'asn' ? '64500' : '"x"'}`;
    expect([expression, checkExpression(expression)]).toEqual([expression, undefined]);
  }
});

it('gives none where the runtime says nothing', () => {
  expect(edgeFields(undefined)).toEqual({});
});

it('gives TLS as the edge tells of it, in the words of OpenSSL and nginx', () => {
  const cf = { tlsVersion: 'TLSv1.3', tlsCipher: 'AEAD-AES128-GCM-SHA256' };
  const tls = { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', refusal: null, clientCertificate: null };
  expect(edgeTls(cf)).toEqual({ ...tls, clientVerify: 'NONE' });
  expect(edgeTls({ ...cf, tlsClientAuth: { certVerified: 'FAILED:certificate has expired' } })).toEqual({
    ...tls,
    clientVerify: 'FAILED:certificate has expired',
  });
  const shown = { certPresented: '1', certVerified: 'SUCCESS', certSubjectDNRFC2253: 'CN=a,O=b', certSerial: '0f' };
  expect(edgeTls({ ...cf, tlsClientAuth: { ...shown, certFingerprintSHA1: 'ABCD' } })?.clientCertificate).toMatchObject(
    {
      ...{ pem: null, subject: 'CN=a,O=b', serial: '0F', fingerprint: 'abcd' },
    },
  );
  expect(edgeTls({ ...cf, tlsClientAuth: { ...shown, certPresented: '0' } })?.clientCertificate).toBe(null);
  expect([edgeTls({ tlsVersion: '' }), edgeTls(undefined)]).toEqual([null, null]);
});
