import { certificatesOf } from '../../shared/pem.ts';
import type { Settings } from '../settings/properties.ts';
import { PkiError } from './error.ts';
import { readPem, shownPath } from './pem.ts';

/** Whose certificates are trusted. */
export interface Trust {
  readonly publicCas: boolean;
  /** PEM. */
  readonly certificates: readonly string[];
}

/** What `lua_ssl_trusted_certificate` names. Throws `PkiError`. */
export function loadTrust({
  lua_ssl_trusted_certificate: named,
}: Pick<Settings, 'lua_ssl_trusted_certificate'>): Trust {
  const files = named.filter((each) => each !== 'system');
  const certificates = files.flatMap((path) => {
    const found = certificatesOf(readPem(path, 'lua_ssl_trusted_certificate'));
    if (found.length === 0)
      throw new PkiError(`lua_ssl_trusted_certificate: '${shownPath(path)}' holds no certificate`);
    return found;
  });
  return { publicCas: files.length < named.length, certificates };
}
