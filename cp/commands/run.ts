import { X509Certificate } from 'node:crypto';
import { join, resolve } from 'node:path';
import { certificatesOf } from '../../shared/pem.ts';
import type { ControlPlane } from '../control-plane.ts';
import { FallbackFolder } from '../fallback/folder.ts';
import type { FallbackImport } from '../fallback/import.ts';
import { InstanceNote, NO_RELOADS } from '../instance/instance.ts';
import type { Log } from '../instance/log.ts';
import { LISTENER_CERTIFICATES, listenersWithoutCertificate } from '../listeners/listener-pair.ts';
import { type CertificateInUse, certificatesInUse } from '../pki/certificate-dates.ts';
import { CertificateWatch } from '../pki/certificate-watch.ts';
import { clusterPair } from '../pki/cluster-pair.ts';
import { loadSigningKey, loadTrustedKeys } from '../pki/cluster-tls.ts';
import { clusterFiles } from '../pki/gen-cert.ts';
import { readPem } from '../pki/pem.ts';
import { localUrl, reachable } from '../settings/addresses.ts';
import { confFile, type LoadedSettings } from '../settings/load.ts';
import type { Settings } from '../settings/properties.ts';
import { CommandError, describeFailure, type Invocation, settingsFor } from './command.ts';
import { dataPlaneOptions, trustedKeys } from './data-plane-options.ts';
import { choosePlugins } from './enabled-plugins.ts';
import { requireNoOther } from './only-one.ts';
import { prepareFolder } from './prepare.ts';
import { reloading } from './reloading.ts';
import type { Signals } from './signals.ts';
import type { BegunDataPlane, DataPlane, DataPlaneHost } from './start.ts';
import { developmentNote, readyBlock, startingBlock } from './start-output.ts';
import { outliveUnhandled } from './unhandled.ts';

/** Milliseconds requests in flight get when the process is to stop: Kong's `graceful_shutdown_timeout`. */
const DRAIN = 10_000;

/**
 * Runs the role of these settings until it is told to stop (see `signals.ts`), then lets what is in flight finish. `begun`: the data plane, where
 * that was begun already, or why it could not be.
 */
export async function run(
  invocation: Invocation,
  { settings, warnings }: LoadedSettings,
  log: Log,
  {
    host,
    begun,
    signals,
  }: {
    readonly host: DataPlaneHost;
    readonly begun: PromiseSettledResult<BegunDataPlane> | null;
    readonly signals: Signals;
  },
): Promise<void> {
  const conf = confFile(invocation.conf);
  for (const warning of warnings) log('warn', warning);
  process.stdout.write(startingBlock(settings));
  outliveUnhandled(log);
  const watch = new CertificateWatch(log);

  let controlPlane: ControlPlane | null = null;
  let dataPlane: DataPlane | null = null;
  let fallback: FallbackImport | null = null;
  const note = new InstanceNote(resolve(settings.prefix), log);
  try {
    if (begun?.status === 'rejected') throw begun.reason;
    requireNoOther(resolve(settings.prefix));
    await prepareFolder(settings, (notice) => log('warn', notice));
    for (const listener of listenersWithoutCertificate(settings)) {
      log(
        'warn',
        `${listener} shows a self-signed certificate made here, since ${LISTENER_CERTIFICATES[listener]} is not set`,
      );
    }
    if (settings.role === 'traditional') await requireOwnTrust(settings);
    const plugins = await choosePlugins(settings, host.plugins);
    if (settings.role !== 'data_plane') {
      const prefix = resolve(settings.prefix);
      const { node_id: given } = settings;
      const id = given ?? (await host.identity(prefix, null));
      // Read where it is wanted: a data plane alone starts in half of the time without it.
      const { startControlPlane } = await import('../control-plane.ts');
      // What runs plugins in Lua checks them here.
      await host.plugins();
      controlPlane = await startControlPlane(settings, id, log, await plugins.enabled());
      // Not before: a start that is refused, since another runs here, changes nothing.
      if (given !== null) await host.identity(prefix, given);
    }
    if (settings.role !== 'control_plane') {
      const options = await dataPlaneOptions(withLocal(settings, controlPlane), log, plugins);
      // Before the start: it is new as long as it has no databases.
      fallback = await startFallbackImport(settings, log);
      dataPlane = await (begun === null ? host.start(settings.data_plane_host, options) : begun.value.start(options));
    }
    const plane = dataPlane;
    const [status] = dataPlane?.statusAddresses ?? controlPlane?.status ?? [];
    if (dataPlane !== null && status !== undefined) controlPlane?.showMetricsOf(localUrl(status));
    let certificates = certificatesInUse(settings);
    let reloads = NO_RELOADS;
    const record = () => {
      watch.watch(certificates);
      note.write({
        pid: process.pid,
        role: settings.role,
        ...(conf !== undefined && { conf: resolve(conf) }),
        certificates,
        reloads,
        ...(controlPlane?.admin[0] ? { admin: localUrl(controlPlane.admin[0]) } : {}),
        ...(status ? { status: localUrl(status) } : {}),
        ...developmentNote(controlPlane),
      });
    };
    record();
    signals.onReload(
      reloading(settings, {
        controlPlane,
        dataPlane: plane && {
          async prepare(now) {
            const options = await dataPlaneOptions(withLocal(now, controlPlane), log, plugins);
            return () => plane.reload(options);
          },
        },
        read: () => settingsFor(invocation).settings,
        done(now, { failure, half }, began) {
          if (failure === null) certificates = certificatesInUse(now);
          // Some are those of before, some are new: which end shows which is not known here.
          else if (half !== null) certificates = withThoseOf(half, certificates);
          reloads = { count: reloads.count + 1, failure, ...(half && { half: true }), began: String(began) };
          record();
        },
        stopping: () => signals.stopping,
        log,
      }),
    );
    process.stdout.write(readyBlock(settings, controlPlane, dataPlane));
    await signals.stop;
  } catch (error) {
    throw error instanceof CommandError ? error : new CommandError(`cannot start: ${describeFailure(error)}`);
  } finally {
    note.stopping();
    watch.stop();
    await fallback?.stop();
    if (dataPlane === null && begun?.status === 'fulfilled') await begun.value.end();
    // Side by side, under one limit. The link between the two goes last: a request in flight may need it.
    const drained = await Promise.allSettled([dataPlane?.stop(DRAIN), controlPlane?.drain(DRAIN)]);
    await controlPlane?.stop();
    note.remove();
    for (const half of drained)
      if (half.status === 'rejected') log('error', `stopping: ${describeFailure(half.reason)}`);
  }
  log('notice', 'stopped');
}

/** Null: none is to be imported, or what was is here. */
async function startFallbackImport(settings: Settings, log: Log): Promise<FallbackImport | null> {
  if (!settings.cluster_fallback_config_import) return null;
  const [{ FallbackImport }, { fallbackLocation, fallbackStorage }, { certifiedLabels, labelsOf }] = await Promise.all([
    import('../fallback/import.ts'),
    import('../fallback/storage.ts'),
    import('../cluster/node-labels.ts'),
  ]);
  const storage = fallbackStorage(fallbackLocation(settings), process.env);
  const prefix = resolve(settings.prefix);
  const folder = new FallbackFolder(prefix);
  const databases =
    settings.data_plane_host === 'node' ? join(prefix, 'native', 'storage') : join(prefix, 'durable-objects');
  if (!folder.isWanted(databases)) return null;
  const pair = clusterPair(settings);
  const [leaf] = pair === null ? [] : certificatesOf(readPem(pair.cert, 'cluster_cert'));
  const certified = leaf === undefined ? {} : certifiedLabels(new X509Certificate(leaf).subjectAltName);
  const labels = labelsOf({ labels: settings.cluster_dp_labels, group: settings.cluster_group }, certified);
  return new FallbackImport({ storage, folder, trusted: trustedKeys(settings), labels, log: log.part('fallback') });
}

function withThoseOf(settings: Settings, before: readonly CertificateInUse[]): readonly CertificateInUse[] {
  try {
    const all = [...before, ...certificatesInUse(settings)];
    return [...new Map(all.map((one) => [JSON.stringify(one), one])).values()];
  } catch {
    // Gone since they were read.
    return before;
  }
}

/** The local data plane finds its control plane where it really listens, also when the port was left open. */
function withLocal(settings: Settings, controlPlane: ControlPlane | null): Settings {
  const local = controlPlane?.cluster;
  return local ? { ...settings, cluster_control_plane: [reachable(local)] } : settings;
}

/** In one process both halves are known, so a pair that cannot work is said now and not with every config. */
async function requireOwnTrust(settings: Settings): Promise<void> {
  const files = clusterFiles(resolve(settings.prefix));
  const signing = settings.bundle_signing_key ?? files.signingKey;
  const trusted = settings.bundle_trusted_keys ?? files.trustedKeys;
  const { publicKey } = await loadSigningKey(signing);
  if (loadTrustedKeys(trusted).keys.some(({ kid }) => kid === publicKey.kid)) return;
  throw new CommandError(
    `bundle_trusted_keys: ${trusted} does not hold the public key of bundle_signing_key, ${signing}: the data plane ` +
      'would refuse every config; restore the two files of one cluster',
  );
}
