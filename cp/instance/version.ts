import packageJson from '../../package.json' with { type: 'json' };

/** Holdfast's own version. */
export const VERSION: string = packageJson.version;
