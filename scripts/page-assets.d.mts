/** Makes them, unless they are newer than all that they are made of. */
export function makePageAssets(): void;
