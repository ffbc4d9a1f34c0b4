import { KONG_VERSION } from '../../shared/version.ts';
import { VERSION } from '../instance/version.ts';

/** `holdfast version` */
export function version(): void {
  process.stdout.write(`Holdfast ${VERSION} (Admin API of Kong ${KONG_VERSION}), Node ${process.version}\n`);
}
