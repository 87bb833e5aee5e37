// Given to Node with --require: the process's clock is wrong by WRONG_CLOCK_SECONDS from its start, and on SIGUSR2 it is set
// to be wrong by WRONG_CLOCK_SECONDS_LATER. Timers go on as they do when a real clock is set.
let ahead = Number(process.env.WRONG_CLOCK_SECONDS ?? 0) * 1000;
process.on("SIGUSR2", () => {
  ahead = Number(process.env.WRONG_CLOCK_SECONDS_LATER) * 1000;
});

const RightDate = Date;
const now = () => RightDate.now() + ahead;
globalThis.Date = new Proxy(RightDate, {
  construct: (target, values, newTarget) =>
    Reflect.construct(target, values.length === 0 ? [now()] : values, newTarget),
  apply: target => new target(now()).toString(),
  get: (target, name) => (name === "now" ? now : Reflect.get(target, name)),
});
