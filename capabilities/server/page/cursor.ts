/** A place in the changes of one process. */
export interface Cursors {
  readonly of: (revision: number) => string;
  /** @returns the revision; undefined when the cursor is another process's, or none */
  readonly revisionOf: (cursor: string) => number | undefined;
}

/** Cursors of one process. @param processId no other process has it, nor this one after a restart */
export function createCursors(processId: string): Cursors {
  return {
    of: revision => `${processId}.${revision}`,
    revisionOf(cursor) {
      const [id, revision = "", ...more] = cursor.split(".");
      return id === processId && more.length === 0 && /^\d{1,15}$/.test(revision) ? Number(revision) : undefined;
    },
  };
}
