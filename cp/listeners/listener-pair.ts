import { createPrivateKey, randomUUID, X509Certificate } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { certificatesOf } from '../../shared/pem.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { PemPair } from '../pki/certificate.ts';
import { PkiError } from '../pki/error.ts';
import { readPem } from '../pki/pem.ts';
import type { Settings } from '../settings/properties.ts';
import { listed } from '../settings/rules.ts';

/** Each listener that may serve TLS, with the setting of its certificate; `<setting>_key` is its key's. */
export const LISTENER_CERTIFICATES = {
  proxy_listen: 'ssl_cert',
  stream_listen: 'ssl_cert',
  status_listen: 'status_ssl_cert',
  admin_listen: 'admin_ssl_cert',
  admin_gui_listen: 'admin_gui_ssl_cert',
} as const;

export type TlsListener = keyof typeof LISTENER_CERTIFICATES;

/**
 * The pair a TLS listener shows: as set or, as in Kong, the self-signed one in the prefix. Read anew each time, which is
 * what takes a renewed certificate into use. Throws `PkiError` when it cannot be read or is no pair.
 */
export function loadListenerPair(settings: Settings, listener: TlsListener): ListenerPairs {
  const setting = LISTENER_CERTIFICATES[listener];
  const [first, ...others] = listenerFiles(settings, listener).map((files) => loadPair(files, setting));
  if (first === undefined) throw new PkiError(`${setting}: names no certificate`);
  return { ...first, others };
}

/** What a listener shows: a pair, and others with other types of keys. */
export interface ListenerPairs extends PemPair {
  readonly others: readonly PemPair[];
}

function loadPair(files: PemPair, setting: string): PemPair {
  const pair = { cert: readPem(files.cert, setting), key: readPem(files.key, `${setting}_key`) };
  const [leaf] = certificatesOf(pair.cert);
  if (leaf === undefined) throw new PkiError(`${setting}: holds no certificate`);
  if (
    !parsed(setting, () => new X509Certificate(leaf)).checkPrivateKey(
      parsed(`${setting}_key`, () => createPrivateKey(pair.key)),
    )
  ) {
    throw new PkiError(`${setting}_key is not the key of ${setting}; the two must be one pair`);
  }
  return pair;
}

function listenerFiles(settings: Settings, listener: TlsListener): readonly PemPair[] {
  const setting = LISTENER_CERTIFICATES[listener];
  const { [setting]: cert, [`${setting}_key` as const]: key } = settings;
  if (cert === null || key === null)
    return selfSignedTypes(settings, listener).map((type) => selfSignedFiles(settings, type));
  const keys = listed(key);
  return listed(cert).map((file, place) => ({ cert: file, key: keys[place] ?? '' }));
}

/** Kong shows clients both; here only Node shows a client the one that it can take. */
function selfSignedTypes({ data_plane_host: host }: Settings, listener: TlsListener): readonly ('ecdsa' | 'rsa')[] {
  const byType = host === 'node' && (listener === 'proxy_listen' || listener === 'stream_listen');
  return byType ? ['ecdsa', 'rsa'] : ['ecdsa'];
}

function selfSignedFiles({ prefix }: Settings, type: 'ecdsa' | 'rsa'): PemPair {
  const name = join(resolve(prefix), 'ssl', type === 'rsa' ? 'self-signed-rsa' : 'self-signed');
  return { cert: `${name}.crt`, key: `${name}.key` };
}

/** The listeners this role opens with `ssl` for which no certificate is set. */
export function listenersWithoutCertificate(settings: Settings): readonly TlsListener[] {
  return tlsListeners(settings).filter((listener) => settings[LISTENER_CERTIFICATES[listener]] === null);
}

/** The listeners this role opens with `ssl`. */
export function tlsListeners(settings: Settings): readonly TlsListener[] {
  const { role } = settings;
  const served: readonly TlsListener[] = [
    'status_listen',
    ...(role === 'control_plane' ? [] : (['proxy_listen', 'stream_listen'] as const)),
    ...(role === 'data_plane' ? [] : (['admin_listen', 'admin_gui_listen'] as const)),
  ];
  return served.filter((listener) => settings[listener].some(({ tls }) => tls));
}

/** Makes the self-signed pairs in the prefix that a listener needs and that are not there, or of no use any more. */
export async function ensureSelfSignedPair(settings: Settings): Promise<void> {
  const needed = listenersWithoutCertificate(settings).flatMap((listener) => selfSignedTypes(settings, listener));
  for (const type of new Set(needed)) {
    const files = selfSignedFiles(settings, type);
    if (isUsable(files)) continue;
    // What makes certificates is large, and seldom wanted.
    const { generateListenerCertificate } = await import('../pki/certificate.ts');
    const made = await generateListenerCertificate(type);
    mkdirSync(join(resolve(settings.prefix), 'ssl'), { recursive: true, mode: 0o700 });
    replace(files.key, made.key, 0o600);
    replace(files.cert, made.cert, 0o644);
  }
}

/** A pair that was made by two at once, or with a disk that was full, is none. */
function isUsable(files: PemPair): boolean {
  try {
    const [leaf = ''] = certificatesOf(loadPair(files, 'ssl_cert').cert);
    return new X509Certificate(leaf).validToDate.getTime() > Date.now();
  } catch {
    return false;
  }
}

/** Puts a file, whole or not at all, where one may be. */
function replace(path: string, text: string, mode: number): void {
  const whole = `${path}.${randomUUID()}`;
  try {
    writeFileSync(whole, text, { mode, flush: true });
    renameSync(whole, path);
  } finally {
    rmSync(whole, { force: true });
  }
}

function parsed<T>(setting: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new PkiError(`${setting}: cannot be used (${messageOf(error)})`);
  }
}
