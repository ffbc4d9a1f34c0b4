import { resolve } from 'node:path';

import { PkiError } from '../pki/error.ts';
import { generateClusterFiles } from '../pki/gen-cert.ts';
import { CommandError, type Invocation, unknownAction } from './command.ts';

/** `holdfast hybrid gen_cert [--dir DIR]` */
export async function hybrid({ words: [action = ''], options }: Invocation): Promise<void> {
  if (action !== 'gen_cert') throw unknownAction('hybrid', ['gen_cert'], action);
  const folder = resolve(typeof options.dir === 'string' ? options.dir : '.');
  try {
    const files = await generateClusterFiles(folder);
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
