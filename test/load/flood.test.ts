import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { askTimes, quantile, startAttack, startFloodedServer } from "./flood/flood";
import type { FloodedServer } from "./flood/flood";

/** Milliseconds that a liveness probe may take in the manifests. */
const PROBE_TIMEOUT = 5_000;

/**
 * Milliseconds that may be the machine's: its processors have other work, of which a process that is busy gets less than one
 * that mostly waits.
 */
const BUSY_MACHINE = 500;

/** MiB. */
const MAXIMUM_MEMORY = 256;

describe("the endpoint", () => {
  let server: FloodedServer;
  let stopAttack: () => void;
  const probe = { path: "/livez", keepAlive: false, within: PROBE_TIMEOUT };

  beforeEach(async () => {
    stopAttack = () => undefined;
    server = await startFloodedServer();
  });
  afterEach(() => {
    stopAttack();
    server.stop();
  });

  it("answers every probe while 2,000 connections say nothing", async () => {
    stopAttack = await startAttack({ port: server.port, connections: 2_000, requests: 0 });
    const { failures } = await askTimes(100, { port: server.port, ...probe });
    expect(failures).toEqual([]);
  });

  it.each([
    { who: "who keeps a connection", keepAlive: true },
    { who: "who makes new ones", keepAlive: false },
  ])("serves $who while 1,000 connections send 32 requests each at once, without growing", async ({ keepAlive }) => {
    const client = { port: server.port, path: "/services?limit=500", keepAlive, within: PROBE_TIMEOUT };
    const alone = await askTimes(200, client);
    stopAttack = await startAttack({ port: server.port, connections: 1_000, requests: 32 });
    const beside = await askTimes(200, client);
    const probes = await askTimes(100, { port: server.port, ...probe });
    const memory = await server.peakMemory();
    const [before, during] = [alone, beside].map(seen => [0.5, 0.99].map(share => quantile(seen, share).toFixed(1)));
    console.info(
      `alone p50, p99: ${String(before)} ms; beside the flood: ${String(during)} ms; ${memory.toFixed(0)} MiB`,
    );

    expect([alone.failures, beside.failures, probes.failures]).toEqual([[], [], []]);
    expect(memory).toBeLessThan(MAXIMUM_MEMORY);
    // Speed is measured by the bench; this is only about being served at all, and not behind the flood.
    expect(quantile(beside, 0.5)).toBeLessThan(3 * quantile(alone, 0.99) + BUSY_MACHINE);
  });
});
