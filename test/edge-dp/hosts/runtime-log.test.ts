import { describe, expect, it } from 'vitest';
import { RuntimeLog } from '../../../edge-dp/hosts/supervision/runtime-log.ts';
import { NOTICE } from '../../../edge-dp/notice.ts';

/** As workerd writes them with structured logging. */
const line = (level: string, message: string) => JSON.stringify({ timestamp: 1, level, message });

function reader(): { readonly lines: string[]; readonly read: (...lines: readonly string[]) => void } {
  const lines: string[] = [];
  const log = new RuntimeLog((level, message) => void lines.push(`${level} ${message}`));
  return { lines, read: (...all) => all.forEach((one) => void log.line(one)) };
}

describe('the log of the runtime', () => {
  it.each([
    [
      "e = kj/compat/tls.c++:251: failed: TLS peer's certificate is not trusted; reason = self signed certificate; sentryErrorContext = jsgInternalError; wdErrId = abc\nstack: workerd@1234 workerd@abcd",
      'warn a TLS connection was not made: the certificate is not trusted (self signed certificate)',
    ],
    [
      'e = kj/compat/tls.c++:82: failed: OpenSSL error; message = error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER; sentryErrorContext = jsgInternalError; wdErrId = 2d5j',
      'warn a TLS connection was not made: the other side does not speak TLS',
    ],
    [
      'e = kj/compat/tls.c++:82: failed: OpenSSL error; message = error:10000418:SSL routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA; wdErrId = 2d5j',
      'warn a TLS connection was not made: the other side refuses it (unknown ca)',
    ],
    [
      'kj/async-io-unix.c++:780: disconnected: connect(): Connection refused; sentryErrorContext = x; wdErrId = y',
      'warn the runtime says: disconnected: connect(): Connection refused',
    ],
  ])('is told in our words, once: %s', (raw, words) => {
    const { lines, read } = reader();
    read(line('error', raw), line('error', raw.replace('wdErrId = ', 'wdErrId = other')));
    expect(lines).toEqual([words]);
    // Until something changes: then the same trouble is another one.
    read(line('info', `${NOTICE}link to the control plane is up`), line('error', raw));
    expect(lines).toEqual([words, 'notice link to the control plane is up', words]);
  });

  it('leaves out what is no log, but for the standard output or error of the node', () => {
    const { lines, read } = reader();
    read(line('info', 'stdout: {"a":1}'), line('info', 'stderr: b'));
    expect(lines).toEqual(['stdout {"a":1}', 'stderr b']);
  });

  it('is passed on as it is where the Worker speaks, or nobody is known to', () => {
    const { lines, read } = reader();
    const said = [line('info', 'kj/x.c++:1: said'), line('warn', 'w'), line('warn', 'w'), line('log', 'l'), 'a crash'];
    read(...said);
    expect(lines).toEqual(['info kj/x.c++:1: said', 'warn w', 'warn w', 'info l', 'warn a crash']);
  });
});
