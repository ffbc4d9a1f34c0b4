/** The publisher will not sign this config; what was published before stays. The message says why and what to do. */
export class PublishRefused extends Error {
  override readonly name = 'PublishRefused';
}
