import { LARGEST } from '../../shared/cluster/bounds.ts';
import type { Explained, Hello } from '../../shared/cluster/messages.ts';

/** What this node says, within what a control plane takes: beyond that it would end the link. */

type Health = Readonly<Record<string, unknown>>;

/** A hello without the manifest, where that makes it too long; a control plane then sends all objects anew. */
export function fittingHello(hello: Hello): Hello {
  return bytes(hello) <= LARGEST.hello ? hello : { ...hello, manifest: null };
}

/** Target health by upstream: where it is too long, first what has something to tell. `left` is how many upstreams are not in it. */
export function fittingHealth(health: Health): { readonly health: Health; readonly left: number } {
  if (bytes(health) <= LARGEST.health) return { health, left: 0 };
  const entries = Object.entries(health).map(([upstream, targets]) => ({
    upstream,
    targets,
    text: JSON.stringify(targets),
  }));
  const isWell = ({ text }: (typeof entries)[number]): boolean => !/"(UNHEALTHY|DNS_ERROR)"/.test(text);
  const fitting: Record<string, unknown> = {};
  let size = 2;
  for (const { upstream, targets, text } of entries.toSorted((a, b) => Number(isWell(a)) - Number(isWell(b)))) {
    const length = new TextEncoder().encode(text).length + upstream.length + 4;
    if (size + length > LARGEST.health) continue;
    size += length;
    fitting[upstream] = targets;
  }
  return { health: fitting, left: entries.length - Object.keys(fitting).length };
}

/** An answer, or that it would be too long. */
export function fittingAnswer(answer: Explained): Explained {
  if (bytes(answer) <= LARGEST.message) return answer;
  return { ...answer, status: 500, body: { message: `the answer is longer than ${LARGEST.message} bytes` } };
}

/** What is told of a refusal, shortened. */
export function fittingReason(reason: string): string {
  return reason.slice(0, 2_000).toWellFormed();
}

function bytes(value: object): number {
  return new TextEncoder().encode(JSON.stringify(value)).length;
}
