import { dirname, resolve } from 'node:path';

import { generateAuthority, isNodeRole, issueCertificate, NODE_ROLES } from '../pki/authority.ts';
import { PkiError } from '../pki/error.ts';
import { clusterFiles, generateClusterFiles, generateClusterPair } from '../pki/gen-cert.ts';
import { labels } from '../settings/property.ts';
import { type Command, CommandError, type Invocation, unknownAction, wholeNumber } from './command.ts';

/** Longer than a century, X.509's dates would need another form. */
const MOST_DAYS = 36_500;

const ACTIONS = { gen_cert: genCert, gen_ca: genCa, issue };

/** Certificates and keys of a cluster. */
export const hybrid: Command = {
  summary: 'certificates and keys of a cluster: gen_cert, gen_ca, issue',
  forms: {
    'gen_cert [CERT KEY]': "one pair for all nodes (cluster_mtls = 'shared') and the bundle signing key",
    gen_ca: "a CA (cluster_mtls = 'pki') and the bundle signing key",
    issue: 'a pair for one node, by that CA',
  },
  options: {
    dir: {
      takes: 'DIR',
      text: "where the files are made (default: beside CERT, else the working folder; of 'issue': the CA's)",
    },
    days: { takes: 'N', text: 'how long the certificate is good for (default: 1095, a CA 3650)' },
    ca: { takes: 'DIR', text: 'issue: folder of ca.crt and ca.key (default: the working folder)' },
    role: { takes: 'ROLE', text: `issue: ${NODE_ROLES.join(', ')}` },
    labels: {
      takes: 'LABELS',
      text: 'issue: labels of a data plane that its certificate has, as in region:eu,tier:edge',
    },
    name: { takes: 'NAME', text: 'issue: host name or address; of a control plane the one data planes reach it by' },
  },
  examples: [
    'holdfast hybrid gen_cert --dir keys',
    'holdfast hybrid gen_ca --dir keys',
    'holdfast hybrid issue --ca keys --role control_plane --name cp.example.com',
    'holdfast hybrid issue --ca keys --role data_plane --name dp-1 --days 90',
  ],
  async run(invocation) {
    const [action = '', ...words] = invocation.words;
    if (!Object.hasOwn(ACTIONS, action)) throw unknownAction('hybrid', Object.keys(ACTIONS), action);
    try {
      await ACTIONS[action as keyof typeof ACTIONS]({ ...invocation, words });
    } catch (error) {
      if (error instanceof PkiError) throw new CommandError(error.message);
      throw error;
    }
  },
};

/** The signing key and the data planes' keys stand beside CERT where it is named, and no `--dir`; those that are there stay. */
async function genCert({ words: [cert, key, ...more], options }: Invocation): Promise<void> {
  if ((cert === undefined) !== (key === undefined) || more.length > 0) {
    throw new CommandError('hybrid gen_cert takes no file names or two, of the certificate and of its key', 2);
  }
  const folder = folderOf(options.dir, cert === undefined ? '.' : dirname(cert));
  const days = wholeNumber(options.days, 'days', 1, MOST_DAYS);
  let files = clusterFiles(folder);
  let written: readonly string[];
  if (cert === undefined || key === undefined) {
    written = Object.values(await generateClusterFiles(files, days));
  } else {
    files = { ...files, cert: resolve(cert), key: resolve(key) };
    written = await generateClusterPair(files, days);
  }
  const all = [
    [files.cert, 'cluster_cert of every node'],
    [files.key, 'cluster_cert_key of every node'],
    [files.signingKey, 'bundle_signing_key, for control planes only'],
    [files.trustedKeys, 'bundle_trusted_keys of data planes'],
  ] as const;
  made(all.filter(([file]) => written.includes(file)));
  const kept = all.flatMap(([file]) => (written.includes(file) ? [] : [file]));
  if (kept.length > 0) process.stdout.write(`kept: ${kept.join(', ')}\n`);
}

async function genCa({ words, options }: Invocation): Promise<void> {
  if (words.length > 0) throw new CommandError('hybrid gen_ca takes no file names; --dir names a folder', 2);
  const days = wholeNumber(options.days, 'days', 1, MOST_DAYS);
  const files = await generateAuthority(folderOf(options.dir, '.'), days);
  made([
    [files.cert, 'cluster_ca_cert of every node'],
    [files.key, "for 'holdfast hybrid issue' only: whoever has it can join the cluster"],
    [files.signingKey, 'bundle_signing_key, for control planes only'],
    [files.trustedKeys, 'bundle_trusted_keys of data planes'],
  ]);
}

async function issue({ words, options }: Invocation): Promise<void> {
  const { role, name } = options;
  if (words.length > 0) throw new CommandError('hybrid issue takes no file names; --name names the node', 2);
  if (!isNodeRole(role)) throw new CommandError(`hybrid issue needs --role, one of ${NODE_ROLES.join(', ')}`, 2);
  if (typeof name !== 'string') throw new CommandError('hybrid issue needs --name, a host name or an address', 2);
  const from = folderOf(options.ca, '.');
  const days = wholeNumber(options.days, 'days', 1, MOST_DAYS);
  const certified = labelsIn(options.labels);
  if (Object.keys(certified).length > 0 && role === 'control_plane') {
    throw new CommandError('hybrid issue: --labels are for data planes', 2);
  }
  const files = await issueCertificate({ role, name, from, to: folderOf(options.dir, from), days, labels: certified });
  made([
    [files.cert, `cluster_cert of ${name}, with cluster_mtls = pki`],
    [files.key, `cluster_cert_key of ${name}`],
  ]);
}

const LABELS = labels('');

function labelsIn(given: unknown): Readonly<Record<string, string>> {
  if (typeof given !== 'string') return {};
  const read = LABELS.parse(given);
  if (read === undefined) throw new CommandError(`hybrid issue --labels: expected ${LABELS.allowed}`, 2);
  return read;
}

function folderOf(given: unknown, otherwise: string): string {
  return resolve(typeof given === 'string' ? given : otherwise);
}

function made(files: readonly (readonly [file: string, use: string])[]): void {
  process.stdout.write(`made:\n${files.map(([file, use]) => `  ${file}  ${use}\n`).join('')}`);
}
