/**
 * The seam to declarative config (`POST /config`, `GET /config`). Implemented over `shared/declarative` and the store;
 * it parses, validates and loads as one transaction with one serial.
 */
export interface ConfigLoader {
  /**
   * Replaces the workspace's entities by a document: YAML or JSON text, or the parsed object. Returns the flattened
   * entities by entity and id. Throws `KongError` code 14 for an invalid document, nothing being stored then.
   */
  load(
    workspace: string,
    document: string | Readonly<Record<string, unknown>>,
    options: { readonly flattenErrors: boolean },
  ): Promise<Readonly<Record<string, Readonly<Record<string, unknown>>>>>;
}
