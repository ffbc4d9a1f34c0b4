/** A process that starts a data plane on Node by its host alone, with settings from the environment, and tells when it began to. */
import { settingsFor } from '../../cp/commands/command.ts';
import { dataPlaneOptions } from '../../cp/commands/data-plane-options.ts';
import { choosePlugins } from '../../cp/commands/enabled-plugins.ts';
import { createLog } from '../../cp/instance/log.ts';
import { startNodeHost } from '../../edge-dp/hosts/node/host.ts';
import { dataPlanePlugins } from '../../edge-dp/hosts/plugins.ts';

const { settings } = settingsFor({ conf: undefined, prefix: undefined });
const log = createLog(settings.log_level, undefined, settings.log_format);
const options = await dataPlaneOptions(settings, log, await choosePlugins(settings, async () => dataPlanePlugins));
process.send?.(performance.timeOrigin + performance.now());
const dataPlane = await startNodeHost(options);
process.on('SIGTERM', () => void dataPlane.stop(100).then(() => process.exit()));
