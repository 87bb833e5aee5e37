import { randomUUID } from "node:crypto";
import type { PageSource } from "../../status/published";
import { errorAnswer } from "../answers";
import type { Routes } from "../http-server";
import { createAssetRoutes } from "./assets";
import { createCursors } from "./cursor";
import { createHistoryHandler, createModuleHandler, createVersionHandler } from "./data-handlers";
import { createEventsHandler } from "./event-stream";
import type { EventLimits } from "./event-stream";
import { createSnapshotHandler } from "./snapshot";

/** The status page and what it asks for. @param source undefined in a process that does not know the states */
export function createPageRoutes(source: PageSource | undefined, limits: Partial<EventLimits> = {}): Routes {
  if (source === undefined) return { "/": { GET: () => Promise.resolve(notHere()) } };
  const cursors = createCursors(randomUUID());
  return {
    ...createAssetRoutes(),
    "/page/versions": { GET: createSnapshotHandler(source, cursors) },
    "/page/events": { GET: createEventsHandler(source, cursors, limits) },
    "/page/version": { GET: createVersionHandler(source) },
    "/page/module": { GET: createModuleHandler(source) },
    "/page/history": { GET: createHistoryHandler(source) },
  };
}

function notHere(): ReturnType<typeof errorAnswer> {
  return errorAnswer(
    404,
    "the status page is served by the watcher: ask the port for operations of the Deployment pepr-mlflow-kserve-watcher",
  );
}
