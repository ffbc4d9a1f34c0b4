import { closeInstance } from './chain.ts';
import type { PluginPlan } from './plan.ts';

/**
 * The plans `now` are in force, in the place of those `before`: closes the instances that are in use no more. `several`: more than
 * one config was in force, or is. Then what one of them lacks another may have, so all instances are looked at; else only
 * those that went on the way from the one to the other.
 */
export function settlePlans(before: readonly PluginPlan[], now: readonly PluginPlan[], several: boolean): void {
  const gone = new Set(now.flatMap((plan) => plan.takeGone()));
  if (several) {
    for (const plan of before) for (const instance of plan.closable()) gone.add(instance);
    for (const plan of now) for (const instance of plan.closable()) gone.delete(instance);
  }
  for (const instance of gone) closeInstance(instance);
}

/** The plans were never in force: closes what is theirs alone, and not of `kept`, from which they were made. */
export function abandonPlans(plans: readonly PluginPlan[], kept: readonly PluginPlan[]): void {
  const own = new Set(plans.flatMap((plan) => [...plan.closable()]));
  for (const plan of kept) for (const instance of plan.closable()) own.delete(instance);
  for (const instance of own) closeInstance(instance);
}
