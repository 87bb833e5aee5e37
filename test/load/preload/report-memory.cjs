// Given to Node with --require and --expose-gc: on SIGUSR2 the process collects its garbage and writes what it then holds,
// as one line of its log. Only so can memory that is held be told from memory that V8 has not yet cared to give back.
process.on("SIGUSR2", () => {
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  process.stdout.write(`${JSON.stringify({ msg: "memory after garbage collection", heapUsed, external })}\n`);
});
