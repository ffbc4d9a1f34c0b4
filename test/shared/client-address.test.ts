import { describe, expect, it } from 'vitest';
import { compileClientAddress, parseSocketAddress } from '../../shared/client-address.ts';

const compile = (trustedIps: string[], realIpHeader = 'X-Forwarded-For', realIpRecursive = false) => {
  const read = compileClientAddress({ trustedIps, realIpHeader, realIpRecursive });
  return (peer: string | null, value?: string) =>
    read(peer, 1234, new Headers(value === undefined ? {} : { [realIpHeader]: value }));
};

it.each([
  ['1.2.3.4:5', { ip: '1.2.3.4', port: 5 }],
  ['[::1]:65535', { ip: '::1', port: 65_535 }],
  ['[2001:db8::ffff:0:1]:80', { ip: '2001:db8::ffff:0:1', port: 80 }],
  // Listeners on `[::]` take IPv4 too, and rules about addresses are written in IPv4.
  ['[::ffff:10.1.2.3]:80', { ip: '10.1.2.3', port: 80 }],
  ['unix:/run/a.sock', null],
  ['unix:', null],
  ['', null],
])('reads the peer %j of a socket', (text, address) => {
  expect(parseSocketAddress(text)).toEqual(address);
});

describe('the client address', () => {
  it('is the peer when nobody is trusted, whatever headers say', () => {
    expect(compile([])('1.2.3.4', '6.6.6.6')).toEqual({
      ...{ ip: '1.2.3.4', port: 1234 },
      ...{ peerIp: '1.2.3.4', peerPort: 1234, trusted: false },
    });
  });

  it('is the last address of the header of a trusted peer', () => {
    const read = compile(['10.0.0.0/8', '::1', 'unix:']);
    expect(read('10.1.2.3', '6.6.6.6, 7.7.7.7')).toMatchObject({ ip: '7.7.7.7', peerIp: '10.1.2.3', trusted: true });
    expect(read('::ffff:10.1.2.3', '7.7.7.7:99')).toMatchObject({ ip: '7.7.7.7', port: 99 });
    expect(read('::1', '[2001:db8::1]:80')).toMatchObject({ ip: '2001:db8::1', port: 80 });
    expect(read('11.0.0.1', '7.7.7.7')).toMatchObject({ ip: '11.0.0.1', trusted: false });
    expect(read('10.1.2.3', 'unknown')).toMatchObject({ ip: '10.1.2.3', trusted: true });
    expect(read(null, '7.7.7.7')).toMatchObject({ ip: '', trusted: false });
  });

  it('passes over trusted proxies when recursive', () => {
    const read = compile(['10.0.0.0/8', '192.168.0.0/16'], 'X-Forwarded-For', true);
    expect(read('10.0.0.1', '6.6.6.6, 7.7.7.7, 192.168.1.1, 10.2.2.2')).toMatchObject({ ip: '7.7.7.7' });
    expect(read('10.0.0.1', '10.9.9.9, 192.168.1.1')).toMatchObject({ ip: '10.9.9.9' });
    expect(read('10.0.0.1', '7.7.7.7, nonsense, 10.2.2.2')).toMatchObject({ ip: '10.2.2.2' });
  });

  it('refuses trusted_ips that are no addresses', () => {
    for (const bad of ['10.0.0.0/33', 'example.com', '10.0.0', '::1/129', '1.2.3.4/x'])
      expect(() => compile([bad]), bad).toThrow(bad);
  });
});
