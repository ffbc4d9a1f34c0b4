import { exportJWK, generateKeyPair, importJWK } from 'jose';
import { string } from '../../shared/bundle/shape.ts';
import type { NodeKey } from '../../shared/cluster/node-proof.ts';

/** Where it rests, for good: without it the control plane takes this node for another one that uses its id. */
const STORAGE_KEY = 'node_key';

/** By storage: of two who ask at once, as the link and telemetry do on first use, neither may make one that is not kept. */
const known = new WeakMap<DurableObjectStorage, Promise<NodeKey>>();

/** The key pair by which control planes know this node again. Made on first use; the private half never leaves the storage. */
export function nodeKey(storage: DurableObjectStorage): Promise<NodeKey> {
  const before = known.get(storage);
  if (before !== undefined) return before;
  const key = keptOrMade(storage);
  known.set(storage, key);
  // A disk that does not answer for a moment: the next finds out anew.
  key.catch(() => known.delete(storage));
  return key;
}

async function keptOrMade(storage: DurableObjectStorage): Promise<NodeKey> {
  const kept = await storage.get<{ readonly x: string; readonly d: string }>(STORAGE_KEY);
  if (kept !== undefined) return imported(kept);
  const pair = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const { x, d } = await exportJWK(pair.privateKey);
  const made = { x: string(x, 'x'), d: string(d, 'd') };
  await storage.put(STORAGE_KEY, made);
  return imported(made);
}

async function imported({ x, d }: { readonly x: string; readonly d: string }): Promise<NodeKey> {
  const privateKey = await importJWK({ kty: 'OKP', crv: 'Ed25519', x, d }, 'EdDSA');
  if (privateKey instanceof Uint8Array) throw new TypeError(`${STORAGE_KEY}: not an Ed25519 key`);
  return { x, privateKey };
}
