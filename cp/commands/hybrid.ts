import { dirname, resolve } from 'node:path';

import { PkiError } from '../pki/error.ts';
import { clusterFiles, generateClusterFiles } from '../pki/gen-cert.ts';
import { CommandError, type Invocation, unknownAction } from './command.ts';

/**
 * `holdfast hybrid gen_cert [CERT KEY] [--dir DIR] [--days N]`. The signing key and the data planes' keys stand beside CERT
 * where it is named, and no `--dir`.
 */
export async function hybrid({ words: [action = '', cert, key, ...more], options }: Invocation): Promise<void> {
  if (action !== 'gen_cert') throw unknownAction('hybrid', ['gen_cert'], action);
  if ((cert === undefined) !== (key === undefined) || more.length > 0) {
    throw new CommandError('hybrid gen_cert takes no file names or two, of the certificate and of its key', 2);
  }
  const beside = cert === undefined ? '.' : dirname(cert);
  const folder = resolve(typeof options.dir === 'string' ? options.dir : beside);
  const named = cert === undefined || key === undefined ? {} : { cert: resolve(cert), key: resolve(key) };
  try {
    const files = await generateClusterFiles({ ...clusterFiles(folder), ...named }, readDays(options.days));
    process.stdout.write(
      `${[
        'made:',
        `  ${files.cert}  cluster_cert of every node`,
        `  ${files.key}  cluster_cert_key of every node`,
        `  ${files.signingKey}  bundle_signing_key, for control planes only`,
        `  ${files.trustedKeys}  bundle_trusted_keys of data planes`,
      ].join('\n')}\n`,
    );
  } catch (error) {
    if (error instanceof PkiError) throw new CommandError(error.message);
    throw error;
  }
}

/** Longer than a century, X.509's dates would need another form. */
const MOST_DAYS = 36_500;

function readDays(given: unknown): number | undefined {
  if (given === undefined) return undefined;
  const days = Number(given);
  if (Number.isInteger(days) && days >= 1 && days <= MOST_DAYS) return days;
  throw new CommandError(`--days takes a whole number from 1 to ${MOST_DAYS}, not '${given}'`, 2);
}
