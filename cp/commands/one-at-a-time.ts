/**
 * Makes calls of `work` never overlap: a call during another one has it run once more after that, however many they are. `work` must not
 * reject.
 */
export function oneAtATime(work: () => Promise<void>): () => Promise<void> {
  let busy = false;
  let again = false;
  return async () => {
    again = true;
    if (busy) return;
    busy = true;
    while (again) {
      again = false;
      await work();
    }
    busy = false;
  };
}
