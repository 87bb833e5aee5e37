/**
 * Bytes that come in pieces, in one buffer that grows. Kept apart, each piece would be an object, and hold on to the block
 * that it was read into: a megabyte that comes byte by byte would fill hundreds of them.
 */
export class GatheredBytes {
  #buffer = Buffer.alloc(0);
  #length = 0;

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  add(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    piece.copy(this.#buffer, this.#length);
    this.#length = length;
  }

  /** All of them; nothing is to be added any more. */
  whole(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}
