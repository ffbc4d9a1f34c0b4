import { nullable, object, string } from '../../shared/bundle/shape.ts';
import { packShape, parseShape, type RequestShape } from '../../shared/cluster/replay.ts';

/** A request that an isolate has served, for the node's sample. */
export interface SampledShape {
  readonly shape: RequestShape;
  /** The id of its route; null: it matched none. */
  readonly route: string | null;
}

/** As isolates tell it. */
export function packSampled({ shape, route }: SampledShape): object {
  return { shape: packShape(shape), route };
}

/** Throws `ShapeError`. */
export function parseSampled(value: unknown, where: string): SampledShape {
  const read = object(value, where);
  return { shape: parseShape(read.shape, `${where}.shape`), route: nullable(read.route, `${where}.route`, string) };
}
