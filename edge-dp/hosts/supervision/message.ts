/** Whether a value came over Node's IPC channel as a message. Both ends are this program: the tag is enough to know it. */
export function isMessage<Message extends { readonly type: string }>(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}
