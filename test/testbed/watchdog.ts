import { spawn, type ChildProcess } from "node:child_process";
import type { Writable } from "node:stream";

/**
 * Ends what this process started when this process ends, however it ends: return, Ctrl-C, an uncaught error, SIGKILL.
 *
 * A small shell, in a session of its own so that Ctrl-C does not reach it, reads from a pipe that only this process
 * holds open. When the pipe closes, nobody can be there any more to stop the parts in an orderly way: it kills their
 * process groups and removes the temporary folders.
 */
const SCRIPT = `
trap '' HUP INT TERM
groups=""
while read -r verb value; do
  case "$verb" in
    watch) groups="$groups $value" ;;
    forget)
      kept=""
      for group in $groups; do [ "$group" = "$value" ] || kept="$kept $group"; done
      groups=$kept ;;
    remove) set -- "$@" "$value" ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
[ -z "$groups" ] || sleep 1
[ $# -eq 0 ] || rm -rf -- "$@"
`;

let shell: ChildProcess | undefined;

function tell(line: string): void {
  shell ??= startShell();
  shell.stdin?.write(`${line}\n`);
}

function startShell(): ChildProcess {
  const child = spawn("/bin/sh", ["-c", SCRIPT, "watchdog"], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  child.once("exit", () => {
    shell = undefined;
  });
  // A broken pipe only means that somebody killed the shell; the next line starts another one.
  child.stdin.on("error", () => undefined);
  child.unref();
  (child.stdin as Writable & { unref?: () => void }).unref?.();
  return child;
}

/** Kills this process group when our process is gone. */
export function watchGroup(leader: number): void {
  tell(`watch ${leader}`);
}

/** Takes a process group back, once it has ended: its number may soon be somebody else's. */
export function forgetGroup(leader: number): void {
  tell(`forget ${leader}`);
}

/** Removes this folder when our process is gone. */
export function removeAtEnd(directory: string): void {
  tell(`remove ${directory}`);
}
