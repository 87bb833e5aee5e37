// A worker of vitest's that is in the middle of a test outlives vitest when that is ended by a signal, and with it all that
// the test has started. It hears of it by the end of its channel.
process.once("disconnect", () => process.exit(1));
