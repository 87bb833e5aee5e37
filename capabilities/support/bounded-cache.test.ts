import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BoundedCache } from "./bounded-cache";

describe("BoundedCache", () => {
  it("forgets what was not used for longest", () => {
    const cache = new BoundedCache<number>(2);
    cache.set("a", 1);
    cache.set("b", 2);
    cache.get("a");
    cache.set("c", 3);
    expect([cache.get("a"), cache.get("b"), cache.get("c")]).toEqual([1, undefined, 3]);
  });

  it("keeps a value that is false or empty", () => {
    const cache = new BoundedCache<boolean | string>(2);
    cache.set("no", false);
    cache.set("empty", "");
    expect([cache.get("no"), cache.get("empty"), cache.size]).toEqual([false, "", 2]);
  });

  it("behaves like a list of the most recently used, of any capacity", () => {
    const operation = fc.tuple(
      fc.constantFrom("get", "set", "delete"),
      fc.constantFrom("a", "b", "c", "d", "e", "f"),
      fc.nat(),
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5 }), fc.array(operation, { maxLength: 60 }), (capacity, operations) => {
        const cache = new BoundedCache<number>(capacity);
        // Newest first.
        let model: (readonly [string, number])[] = [];
        for (const [what, key, value] of operations) {
          const known = model.find(([name]) => name === key);
          if (what === "get") {
            expect(cache.get(key)).toBe(known?.[1]);
            if (known) model = [known, ...model.filter(entry => entry !== known)];
          } else {
            model = model.filter(entry => entry !== known);
            if (what === "delete") cache.delete(key);
            else {
              cache.set(key, value);
              model = [[key, value] as const, ...model].slice(0, capacity);
            }
          }
          expect(cache.size).toBe(model.length);
        }
      }),
    );
  });
});
