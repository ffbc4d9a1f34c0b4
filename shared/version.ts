/** The Kong release whose behaviour Holdfast reproduces: what `GET /`, `Server` and `Via` say. */
export const KONG_VERSION = '3.9.3';
