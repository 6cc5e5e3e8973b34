import { setFlagsFromString } from "node:v8";

/** How far the heap may grow past what lived after the last collection, in percent. */
const GROWTH_PERCENT = 50;

/** V8's name for it. A name that V8 no longer has is only complained of on standard error, so a test asks this Node for it. */
export const growthFlag = "--heap-growing-percent";

/**
 * Collects before the heap is half as large again as what lives in it. Where a machine has gigabytes to spare, V8 lets it
 * become four times as large, and a service that runs for weeks beside workspaces keeps what one busy hour took. A limit of the
 * heap (`--max-old-space-size`) has a like effect, yet ends the process when reached, and every starter would have to pass it.
 * V8 reads this flag at each collection, so that it may be set while the process runs.
 */
export function keepHeapSmall(): void {
  setFlagsFromString(`${growthFlag}=${GROWTH_PERCENT}`);
}
