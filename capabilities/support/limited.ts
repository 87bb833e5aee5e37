/** The same work, of which at most `limit` are under way; who comes later waits for their turn. */
export function limited<Input, Result>(
  limit: number,
  work: (input: Input) => Promise<Result>,
): (input: Input) => Promise<Result> {
  const waiting: (() => void)[] = [];
  let underWay = 0;
  return async input => {
    if (underWay < limit) underWay++;
    // Whoever ends hands on the place.
    else await new Promise<void>(resolve => waiting.push(resolve));
    try {
      return await work(input);
    } finally {
      const next = waiting.shift();
      if (next === undefined) underWay--;
      else next();
    }
  };
}
