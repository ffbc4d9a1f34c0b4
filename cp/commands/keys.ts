import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { generateSigningKey } from '../../shared/bundle/signing.ts';
import { mustBeRecord } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { notRunning } from '../instance/instance.ts';
import { PkiError } from '../pki/error.ts';
import { writeOnce } from '../pki/write-once.ts';
import { type Command, CommandError, type Invocation, settingsFor, unknownAction } from './command.ts';
import { AdminRefusal, instanceAdmin, type RunningAdmin } from './running-admin.ts';

const ACTIONS = { list, rotate, spare, revoke };

/** The bundle signing keys of a cluster, through a control plane that runs. */
export const keys: Command = {
  summary: 'the keys that bundles are signed with: list, rotate, spare, revoke',
  forms: {
    list: 'which there are, and which of them counts',
    rotate: 'sign with a new key from now on; data planes follow by themselves',
    'spare FILE': 'make a key for the day that all others are lost, and have data planes trust it',
    'revoke KID': 'have no data plane believe that key any more',
  },
  options: {
    'by-hand': { text: 'rotate: bring the new key to the other control planes yourself; after a theft' },
    save: { takes: 'FILE', text: 'list: write what new data planes are given as bundle_trusted_keys' },
  },
  // A thumbprint in base64url (RFC 7638).
  words: /^[\w-]{43}$/,
  examples: [
    'holdfast keys list',
    'holdfast keys rotate',
    'holdfast keys spare /media/safe/spare.key',
    'holdfast keys list --save bundle-keys.json',
  ],
  async run(invocation) {
    const [action = '', ...words] = invocation.words;
    if (!Object.hasOwn(ACTIONS, action)) throw unknownAction('keys', Object.keys(ACTIONS), action);
    const { settings } = settingsFor(invocation);
    const admin = instanceAdmin(settings, 'keys');
    if (admin === null) {
      throw new CommandError(
        `${notRunning(resolve(settings.prefix))}; signing keys are changed through a control plane that runs`,
      );
    }
    await ACTIONS[action as keyof typeof ACTIONS](admin, { ...invocation, words });
  },
};

async function list(admin: RunningAdmin, { words, options }: Invocation): Promise<void> {
  if (words.length > 0) throw new CommandError('keys list takes no words', 2);
  const answer = mustBeRecord(JSON.parse(await admin.ask('/signing-keys')), 'the answer');
  const listed = Array.isArray(answer.keys) ? answer.keys.map((key) => mustBeRecord(key, 'key')) : [];
  for (const { kid, state, here } of listed) {
    process.stdout.write(
      `${String(kid)}  ${String(state).padEnd(8)}${here === true ? '' : '  its private half is not here'}\n`,
    );
  }
  if (typeof options.save !== 'string') return;
  const path = resolve(options.save);
  write(path, `${JSON.stringify(answer.trusted_keys, null, 2)}\n`, 0o644);
  process.stdout.write(`written: ${path}, bundle_trusted_keys of new data planes\n`);
}

async function rotate(admin: RunningAdmin, { words, options }: Invocation): Promise<void> {
  if (words.length > 0) throw new CommandError('keys rotate takes no words', 2);
  const byHand = options['by-hand'] === true;
  const { kid, file } = mustBeRecord(
    JSON.parse(await admin.ask('/signing-keys', json({ by_hand: byHand }))),
    'the answer',
  );
  process.stdout.write(
    `bundles are signed with key ${String(kid)} from now on; the one before is trusted until it is revoked\n`,
  );
  if (byHand)
    process.stdout.write(`bring ${String(file)} to the folder of bundle_signing_key of the other control planes\n`);
}

async function spare(admin: RunningAdmin, { words: [file, ...more] }: Invocation): Promise<void> {
  if (file === undefined || more.length > 0) throw new CommandError('keys spare takes one file, to be made', 2);
  const path = resolve(file);
  const answer = mustBeRecord(JSON.parse(await admin.ask('/signing-keys')), 'the answer');
  const { cluster } = mustBeRecord(answer.trusted_keys, 'trusted_keys');
  const { key, privateFile } = await generateSigningKey(String(cluster));
  write(path, privateFile, 0o600);
  try {
    await admin.ask('/signing-keys', json({ spare: key.publicKey }));
  } catch (error) {
    if (error instanceof AdminRefusal && error.status < 500) {
      rmSync(path, { force: true });
      throw error;
    }
    // It may be trusted all the same, and this is all there is of it.
    throw new CommandError(
      `${messageOf(error)}; whether key ${key.publicKey.kid} is trusted is not known: ${path} is of use if 'holdfast keys list' names it`,
    );
  }
  process.stdout.write(`made: ${path}, key ${key.publicKey.kid}; keep it off this machine\n`);
}

async function revoke(admin: RunningAdmin, { words: [kid, ...more] }: Invocation): Promise<void> {
  if (kid === undefined || more.length > 0)
    throw new CommandError("keys revoke takes one key's id: see 'holdfast keys list'", 2);
  await admin.ask(`/signing-keys/${encodeURIComponent(kid)}`, undefined, 'DELETE');
  process.stdout.write(`key ${kid} is revoked: no data plane believes it any more\n`);
}

const json = (value: unknown) => ({ text: JSON.stringify(value), type: 'application/json' });

function write(path: string, text: string, mode: number): void {
  try {
    writeOnce(path, text, mode);
  } catch (error) {
    throw error instanceof PkiError ? new CommandError(error.message) : error;
  }
}
