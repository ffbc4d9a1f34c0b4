/** nginx's levels, as `log_level` takes them, from the most to the least talkative. */
export const LOG_LEVELS = ['debug', 'info', 'notice', 'warn', 'error', 'crit', 'alert', 'emerg'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];
