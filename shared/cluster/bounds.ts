/** What a data plane may say at most. Bytes. */
export const LARGEST = {
  /** A hello, the manifest it holds included. */
  hello: 64 << 10,
  /** A heartbeat's target health. */
  health: 256 << 10,
  /** A message of any kind: nothing longer is read. */
  message: 320 << 10,
} as const;

/** Of one data plane, in one heartbeat interval, whichever form of the link it uses. */
export const MOST = {
  /** A hundred each second, many times what an honest one has to say. */
  messages: 3_000,
  /** Bytes of them. */
  bytes: 16 << 20,
} as const;
