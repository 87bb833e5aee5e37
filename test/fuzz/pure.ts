import type { FuzzProperty } from "./fuzz-property";
import * as event from "./properties/event";
import * as names from "./properties/names";
import * as rendering from "./properties/rendering";
import * as settings from "./properties/settings";
import * as signature from "./properties/signature";
import * as storageUri from "./properties/storage-uri";

/** Every property that needs no system to hold: those of pure functions. */
export const PURE_PROPERTIES: readonly FuzzProperty[] = [names, event, signature, storageUri, settings, rendering]
  .flatMap((module): unknown[] => Object.values(module))
  .filter((exported): exported is FuzzProperty => typeof exported === "object");
