/**
 * A map that forgets what was not used for longest once it is full. Nothing expires: a key must name something that never
 * comes to mean another thing (a uid, not a name), or the value must hold its own end.
 */
export class BoundedCache<Value> {
  readonly #values = new Map<string, Value>();

  /** @param capacity how many values are kept */
  constructor(readonly capacity: number) {}

  get size(): number {
    return this.#values.size;
  }

  get(key: string): Value | undefined {
    const value = this.#values.get(key);
    // A Map iterates in the order of insertion: putting a used value in again makes it the newest.
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: string, value: Value): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size <= this.capacity) return;
    const oldest = this.#values.keys().next();
    if (!oldest.done) this.#values.delete(oldest.value);
  }

  delete(key: string): void {
    this.#values.delete(key);
  }
}
