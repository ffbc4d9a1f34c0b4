import type { Logged } from './log-entry.ts';
import type { SyslogLine } from './runtime/services.ts';

type Severity = SyslogLine['severity'];

/** In the order of their numbers (RFC 5424 section 6.2.1): the most urgent first. */
const SEVERITIES: readonly Severity[] = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];

/** How urgent the log entries of requests are, by the kind of their answer. */
export interface SeverityConfig {
  readonly log_level: Severity | null;
  readonly successful_severity: Severity | null;
  readonly client_errors_severity: Severity | null;
  readonly server_errors_severity: Severity | null;
}

/** The severity of an entry, by its status; null: less urgent than `log_level`, and not sent. */
export function severityOf(config: SeverityConfig, exchange: Logged): Severity | null {
  const status = 'session' in exchange ? exchange.status : exchange.reply.status;
  const severity =
    (status >= 500
      ? config.server_errors_severity
      : status >= 400
        ? config.client_errors_severity
        : config.successful_severity) ?? 'info';
  return severityNumber(severity) <= severityNumber(config.log_level ?? 'info') ? severity : null;
}

export function severityNumber(severity: Severity): number {
  return SEVERITIES.indexOf(severity);
}
