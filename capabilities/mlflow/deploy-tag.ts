/** Whether a deploy tag deploys: `true` does in any case (`True` is what Python's `str(True)` gives), and nothing else. */
export function deploys(value: string | undefined): boolean {
  return value?.toLowerCase() === "true";
}
