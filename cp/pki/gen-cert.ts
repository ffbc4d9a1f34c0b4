import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PkiError } from './error.ts';
import { refusePresent, writeTogetherOnce } from './write-once.ts';

/** Where a cluster's files stand in a folder. */
export function clusterFiles(folder: string) {
  return {
    cert: join(folder, 'cluster.crt'),
    key: join(folder, 'cluster.key'),
    /** Private: control planes only. */
    signingKey: join(folder, 'bundle-signing.key'),
    /** Public: every data plane. */
    trustedKeys: join(folder, 'bundle-keys.json'),
  } as const;
}

export type ClusterFiles = ReturnType<typeof clusterFiles>;

/**
 * `hybrid gen_cert`: makes the four files of a new cluster. Nothing is overwritten: when any of them is there already, a
 * `PkiError` says which and no file is made. `days`: how long the certificate is good for.
 */
export async function generateClusterFiles(files: ClusterFiles, days?: number): Promise<ClusterFiles> {
  refusePresent(Object.values(files));
  await makeMissing(files, days);
  return files;
}

/**
 * `hybrid gen_cert CERT KEY`: a pair under names of its own, with signing keys beside it where there are none: a cluster that is given
 * another pair keeps those it has. The pair is not overwritten. Returns the files made.
 */
export async function generateClusterPair(files: ClusterFiles, days?: number): Promise<readonly string[]> {
  refusePresent([files.cert, files.key]);
  return makeMissing(files, days);
}

/**
 * Makes what is missing of a cluster's files in `folder`; what is there stays. Returns the files made. A pair of which
 * only one half is there is a `PkiError`: making the other would make a different pair.
 */
export function ensureClusterFiles(folder: string): Promise<readonly string[]> {
  return makeMissing(clusterFiles(folder));
}

async function makeMissing(files: ClusterFiles, days?: number): Promise<readonly string[]> {
  for (const file of Object.values(files)) mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const made: string[] = [];
  if (absent(files.cert, files.key)) {
    // What makes certificates is large, and seldom wanted.
    const { generateClusterCertificate } = await import('./certificate.ts');
    const { cert, key } = await generateClusterCertificate(new Date(), days);
    writeTogetherOnce([
      { file: files.key, text: key, mode: 0o600 },
      { file: files.cert, text: cert, mode: 0o644 },
    ]);
    made.push(files.cert, files.key);
  }
  return [...made, ...(await makeSigningKey(files))];
}

/** The bundle signing key with its public half, where they are not there. Returns the files made. */
export async function makeSigningKey({
  signingKey,
  trustedKeys,
}: Pick<ClusterFiles, 'signingKey' | 'trustedKeys'>): Promise<readonly string[]> {
  if (!absent(signingKey, trustedKeys)) return [];
  const { generateSigningKey } = await import('../../shared/bundle/signing.ts');
  const { privateFile, trustedFile } = await generateSigningKey();
  writeTogetherOnce([
    { file: signingKey, text: privateFile, mode: 0o600 },
    { file: trustedKeys, text: trustedFile, mode: 0o644 },
  ]);
  return [signingKey, trustedKeys];
}

function absent(first: string, second: string): boolean {
  const [hasFirst, hasSecond] = [existsSync(first), existsSync(second)];
  if (hasFirst === hasSecond) return !hasFirst;
  const [present, missing] = hasFirst ? [first, second] : [second, first];
  throw new PkiError(
    `${present} is there but ${missing} is not: restore it, or move ${present} away to make a new pair`,
  );
}
