import type { Delivery, Services } from '../runtime/services.ts';

/** Brings a batch to its server. Throws when that did not take it. */
export async function deliver(fetch: Services['fetch'], delivery: Delivery): Promise<void> {
  const { shown, ...request } = delivery;
  const response = await fetch(request);
  response.discard();
  if (response.status >= 300) throw new Error(`${shown} answered ${response.status}`);
}
