/** Where a request keeps what plugins remember of it; made when the first does. */
export interface Slots {
  read(place: number): unknown;
  write(place: number, value: unknown): void;
}

/** What one plugin remembers of a request, from phase to phase; of no other plugin's concern. */
export interface Slot<T> {
  get(request: { readonly slots: Slots }): T | undefined;
  set(request: { readonly slots: Slots }, value: T): void;
}

let places = 0;

/** To be made once, where the plugin is defined: `const usage = slot<Usage>()`. */
export function slot<T>(): Slot<T> {
  const place = places++;
  return {
    // Nobody else knows the place.
    get: (request) => request.slots.read(place) as T | undefined,
    set: (request, value) => request.slots.write(place, value),
  };
}

/** An array of them. */
export class SlotArray implements Slots {
  readonly #values: unknown[] = [];

  read(place: number): unknown {
    return this.#values[place];
  }

  write(place: number, value: unknown): void {
    this.#values[place] = value;
  }
}
