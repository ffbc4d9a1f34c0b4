/** Severities of syslog (RFC 5424), from the least to the most urgent. */
export const SEVERITIES = ['debug', 'info', 'notice', 'warning', 'err', 'crit', 'alert', 'emerg'] as const;
