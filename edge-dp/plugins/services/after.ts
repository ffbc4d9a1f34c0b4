export const OVER = Symbol('over');

interface Wait {
  /** Resolves with `OVER`, unless it is cancelled. */
  readonly promise: Promise<typeof OVER>;
  cancel(): void;
}

/** A wait that others are raced with. */
export function after(milliseconds: number): Wait {
  const { promise, resolve } = Promise.withResolvers<typeof OVER>();
  const timer = setTimeout(() => resolve(OVER), Math.max(milliseconds, 0));
  return { promise, cancel: () => clearTimeout(timer) };
}
