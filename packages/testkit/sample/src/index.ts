export { formatAmount } from "./format.ts";
export { parseAmount } from "./parse.ts";
export { splitAmount } from "./split.ts";
