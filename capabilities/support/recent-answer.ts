/**
 * Lets all who ask while an answer is awaited, however long that takes, or shortly after it came, have the same one, so that
 * asking often costs those behind it nothing.
 *
 * @param lifetime milliseconds that an answer is given out again
 * @param ask never rejects
 */
export function recentAnswer<T>(lifetime: number, ask: () => Promise<T>): () => Promise<T> {
  // `at` is when it was answered: while one answer is awaited nobody asks again.
  let latest: { readonly answer: Promise<T>; at: number } | undefined;
  return () => {
    // Not the clock on the wall: set back, it would keep an answer for as long.
    if (latest === undefined || performance.now() - latest.at > lifetime) {
      const asked = { answer: ask(), at: Infinity };
      latest = asked;
      void asked.answer.then(() => (asked.at = performance.now()));
    }
    return latest.answer;
  };
}
