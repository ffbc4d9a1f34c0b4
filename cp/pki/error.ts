/** A certificate, key or key file that cannot be used; the message names the setting or file, the fault and the remedy. */
export class PkiError extends Error {
  override readonly name = 'PkiError';
}

/** A file that a setting names is not there. */
export class MissingFile extends PkiError {}
