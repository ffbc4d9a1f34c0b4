import type { Behaviour } from './behaviour.ts';

/** By entity name. Most entities are fully described by their schema and are not here. */
export const behaviours: Readonly<Record<string, Behaviour>> = {};
