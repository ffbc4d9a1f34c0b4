/** A row of a config that cannot be honoured; `message` says which row, what is wrong and where. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
