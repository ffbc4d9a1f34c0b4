/** Exchanges whose end somebody will ask for, by the names the Worker gave them. */
export class FollowedExchanges {
  readonly #open = new Map<string, PromiseWithResolvers<void>>();

  /** Call what it returns at the end. */
  begin(name: string): () => void {
    const end = Promise.withResolvers<void>();
    this.#open.set(name, end);
    return () => {
      // The same exchange may have been begun anew.
      if (this.#open.get(name) === end) this.#open.delete(name);
      end.resolve();
    };
  }

  /** Resolves when it is over: at once for one that nobody knows. */
  async end(name: string): Promise<void> {
    await this.#open.get(name)?.promise;
  }
}
