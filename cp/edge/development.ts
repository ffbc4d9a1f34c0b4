import { resolve } from 'node:path';
import { isLoopbackOrigin } from '../../shared/loopback-origin.ts';
import type { Row } from '../../shared/record.ts';
import { devPrefix } from '../instance/dev-prefix.ts';
import { findInstance } from '../instance/instance.ts';
import { localUrl } from '../settings/addresses.ts';
import type { Settings } from '../settings/properties.ts';
import { type Compatibility, type EdgeFacts, wranglerConfig } from './wrangler-file.ts';

/** What `wrangler dev` is started with, beside what is deployed. */
export const DEVELOPMENT_FILE = 'wrangler.dev.json';

/** Milliseconds between questions for newer config: who develops waits for what was saved. */
export const DEVELOPMENT_NEWS_INTERVAL = 250;

/** A control plane on this machine that `wrangler dev` can link with. */
export interface LocalControlPlane {
  /** Its settings as far as its keys are concerned. */
  readonly settings: Settings;
  /** `http://host:port` of `cluster_dev_listen`; null: not known. */
  readonly origin: string | null;
}

/** That of `holdfast dev` where one runs, else that of these settings, whether it runs or not. */
export function localControlPlane(settings: Settings): LocalControlPlane {
  const prefix = devPrefix(settings.prefix);
  const dev = findInstance(resolve(prefix));
  if (dev?.development !== undefined) {
    // It has keys of its own, whatever the settings say.
    const own = { ...settings, prefix, bundle_signing_key: null, bundle_trusted_keys: null };
    return { settings: own, origin: dev.development };
  }
  const [address] = settings.cluster_dev_listen;
  const running = findInstance(resolve(settings.prefix))?.development;
  return { settings, origin: running ?? (address === undefined ? null : localUrl(address)) };
}

/** Whether it is just the origin of what may be linked with in plain HTTP. */
export function isLocalOrigin(origin: string): boolean {
  return URL.parse(origin)?.origin === origin && isLoopbackOrigin(origin);
}

/** The configuration of `wrangler dev`: nothing in it is to be had of an account, and it is of no use there. */
export function developmentConfig(facts: EdgeFacts, settings: object, compatibility: Compatibility): Row {
  const local = { ...facts, routes: [], certificate: null, telemetry: [], kv: 'holdfast-development' };
  return {
    ...wranglerConfig(local, { ...settings, developmentLink: true }, compatibility),
    workers_dev: false,
    send_metrics: false,
    // Other machines would be refused.
    dev: { ip: '127.0.0.1' },
  };
}
