import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { recordOrEmpty } from '../../shared/record.ts';
import type { Settings } from '../settings/properties.ts';
import { httpStorage } from './http-storage.ts';
import { s3Storage } from './s3-storage.ts';

/** Where config is kept for data planes that start while no control plane can be reached. Names are paths with `/`. */
export interface FallbackStorage {
  /** Null: there is no such thing. Throws when it cannot be read, or is longer than `limit` bytes. */
  get(name: string, limit: number): Promise<Uint8Array | null>;
  /** Whole or not at all. */
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** Also of what is not there. */
  delete(name: string): Promise<void>;
}

/** `cluster_fallback_config_storage` and its kin, as they are set. */
export interface FallbackLocation {
  readonly storage: string;
  /** `cluster_fallback_export_s3_config`: JSON. */
  readonly s3: string | null;
}

/** What the settings say of it. Throws `FallbackFault` where they say nothing. */
export function fallbackLocation(settings: Settings): FallbackLocation {
  const { cluster_fallback_config_storage: storage, cluster_fallback_export_s3_config: s3 } = settings;
  if (storage === null) throw new FallbackFault('is not set');
  return { storage, s3 };
}

/** A location that cannot be used, and why. */
export class FallbackFault extends Error {
  override readonly name = 'FallbackFault';

  constructor(message: string) {
    super(`cluster_fallback_config_storage: ${message}`);
  }
}

/** The storage at a location. Credentials of a bucket are the environment's, by the names AWS gives them. Throws `FallbackFault`. */
export function fallbackStorage({ storage, s3 }: FallbackLocation, environment: NodeJS.ProcessEnv): FallbackStorage {
  const url = URL.parse(storage);
  switch (url?.protocol) {
    case 'file:':
      return folderStorage(fileURLToPath(url));
    case 's3:':
      return s3Storage(url, s3 === null ? {} : recordOrEmpty(JSON.parse(s3)), environment);
    case 'https:':
      return httpStorage(url);
    case 'http:':
      if (url.hostname === '127.0.0.1' || url.hostname === '[::1]' || url.hostname === 'localhost')
        return httpStorage(url);
      throw new FallbackFault("'http://' shows the config to everybody on the way: use 'https://'");
    case 'gcs:':
    case 'gs:':
      throw new FallbackFault(
        "'gcs://' is not taken: use 's3://' with AWS_CONFIG_STORAGE_ENDPOINT = https://storage.googleapis.com and an HMAC key",
      );
    case 'azblob:':
      throw new FallbackFault(
        "'azblob://' is not taken: use 'https://' with the URL of the container and its SAS token",
      );
  }
  throw new FallbackFault("expected 'file:///folder', 's3://bucket/prefix' or 'https://host/path'");
}

function folderStorage(folder: string): FallbackStorage {
  const path = (name: string) => join(resolve(folder), name);
  return {
    async get(name, limit) {
      try {
        if ((await stat(path(name))).size > limit) throw new Error(`${path(name)} is longer than ${limit} bytes`);
        return await readFile(path(name));
      } catch (error) {
        if (isAbsent(error)) return null;
        throw error;
      }
    },
    async put(name, bytes) {
      const whole = path(name);
      const part = `${whole}.${randomUUID()}`;
      await mkdir(dirname(whole), { recursive: true, mode: 0o700 });
      try {
        const file = await open(part, 'wx', 0o600);
        try {
          await file.writeFile(bytes);
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(part, whole);
      } catch (error) {
        await rm(part, { force: true });
        throw error;
      }
    },
    async delete(name) {
      await unlink(path(name)).catch((error: unknown) => {
        if (!isAbsent(error)) throw error;
      });
    },
  };
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
