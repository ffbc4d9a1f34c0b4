import packageJson from '../package.json' with { type: 'json' };

/** Holdfast's own version. */
export const VERSION: string = packageJson.version;

/** The Kong release whose Admin API, schemas and wire behaviour Holdfast keeps to. */
export const KONG_VERSION = '3.9.3';
