import type { CachedManifest } from './cache.ts';
import type { News } from './node.ts';
import type { SharedAnswer, SharedNews } from './shared-news.ts';

interface NewsQuestion {
  /** What the isolate has; null: nothing of a control plane. */
  readonly held: { readonly version: string; readonly manifest: string } | null;
  /** Null: it asks for itself alone. */
  readonly sharing: SharedNews | null;
  /** Asks the owner of the link; `have` is what it is told of `held`, null for the whole answer. */
  readonly ask: (have: string | null) => Promise<News | null>;
  /** Puts news to use. Resolves with its version; null: it cannot be used, which was told. */
  readonly take: (news: News, newest: CachedManifest) => Promise<string | null>;
}

/** What became of a question. */
export interface Asked {
  /** What is held is the newest. */
  readonly current: boolean;
  /** There was news, and it is in use. */
  readonly taken: boolean;
  /** Somebody had an answer. */
  readonly known: boolean;
  /** Milliseconds until the next question; null: as long as ever. */
  readonly holds: number | null;
}

/** Asks whether there is news, takes it, and passes on what was learned. Throws what `ask` throws. */
export async function askForNews({ held, sharing, ask, take }: NewsQuestion): Promise<Asked> {
  const version = held?.version ?? null;
  const learned: Learned = sharing === null ? heard(await ask(version)) : await sharing.ask(version, ask);
  const { news, known, holds } = learned;
  if (news === null || (news.newest !== null && news.newest.manifest === held?.manifest)) {
    if (known && version !== null) await learned.share(version);
    return { current: known, taken: false, known, holds };
  }
  // An owner that rests nothing has forgotten after a restart what is held here.
  if (news.newest === null) return { current: held === null, taken: false, known, holds };
  const taken = await take(news, news.newest);
  if (taken === null) return { current: false, taken: false, known, holds: null };
  // Those who hear of it find its objects where this one has left them.
  await learned.share(taken);
  return { current: true, taken: true, known, holds };
}

type Learned = Pick<SharedAnswer, 'news' | 'known' | 'share'> & { readonly holds: number | null };

/** By one isolate, for itself. */
function heard(news: News | null): Learned {
  return { news, known: true, holds: null, share: async () => undefined };
}
