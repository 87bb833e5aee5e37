import { mkdtempSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { cacheDirectory, cached, cacheKey, isCached } from "./cache";

describe("the cache folder", () => {
  test("is outside the checkout, where the user says or the system keeps caches", () => {
    expect(cacheDirectory({ MLFLOW_KSERVE_CACHE: "/big/disk", XDG_CACHE_HOME: "/cache" })).toBe("/big/disk");
    expect(cacheDirectory({ XDG_CACHE_HOME: "/cache" })).toBe("/cache/mlflow-kserve");
    expect(cacheDirectory({})).toMatch(/\/\.cache\/mlflow-kserve$/);
  });
});

describe("the cache key", () => {
  test("is stable, and changes with every text and with where one ends", () => {
    expect(cacheKey("a", "b")).toBe(cacheKey("a", "b"));
    expect(new Set([cacheKey("a", "b"), cacheKey("a", "c"), cacheKey("ab"), cacheKey("ab", "")]).size).toBe(4);
  });
});

describe("a cache entry", () => {
  let directory: string;
  const silent = (): void => undefined;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "cache-test-"));
    vi.stubEnv("MLFLOW_KSERVE_CACHE", directory);
  });

  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(directory, { recursive: true });
  });

  test("is built once", async () => {
    const build = vi.fn((target: string) => {
      writeFileSync(join(target, "tool"), "built");
      return Promise.resolve();
    });

    const first = await cached("tools", "1", build, silent);
    const second = await cached("tools", "1", build, silent);

    expect(second).toBe(first);
    expect(build).toHaveBeenCalledTimes(1);
    expect(readFileSync(join(first, "tool"), "utf8")).toBe("built");
  });

  test("that was cut short is built anew, from an empty folder", async () => {
    const cutShort = (target: string): Promise<void> => {
      writeFileSync(join(target, "half"), "");
      return Promise.reject(new Error("no space left"));
    };
    await expect(cached("tools", "1", cutShort, silent)).rejects.toThrow("no space left");
    expect(isCached("tools", "1")).toBe(false);

    const entry = await cached("tools", "1", () => Promise.resolve(), silent);

    expect(existsSync(join(entry, "half"))).toBe(false);
    expect(isCached("tools", "1")).toBe(true);
  });

  test("is not held up by the lock of a process that is gone", async () => {
    writeFileSync(join(directory, "tools-1.lock"), "999999999");

    await cached("tools", "1", () => Promise.resolve(), silent);

    expect(isCached("tools", "1")).toBe(true);
  });

  test("wanted twice at once is built once", async () => {
    const build = vi.fn(() => new Promise<void>(resolve => setTimeout(resolve, 50)));

    await Promise.all([cached("tools", "1", build, silent), cached("tools", "1", build, silent)]);

    expect(build).toHaveBeenCalledTimes(1);
  });
});
