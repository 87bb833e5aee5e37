// Given to Node with --require: on SIGUSR2 a promise is rejected that nobody waits for, as a forgotten `await` would do.
process.on("SIGUSR2", () => {
  void Promise.reject(new Error("nobody waits for this promise"));
});
