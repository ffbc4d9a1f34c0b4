import type { UpstreamFailure } from '../../proxy/egress/egress.ts';
import type { ServiceErrorCode } from '../runtime/services.ts';

/** What a failure of an egress is to plugins. */
export function serviceErrorCode(code: UpstreamFailure['code']): ServiceErrorCode {
  return CODES[code] ?? 'unreachable';
}

const CODES: Partial<Readonly<Record<UpstreamFailure['code'], ServiceErrorCode>>> = {
  unsupported: 'unsupported',
  connect_timeout: 'timeout',
  read_timeout: 'timeout',
  write_timeout: 'timeout',
  dns: 'dns',
  tls: 'tls',
  protocol: 'protocol',
};
