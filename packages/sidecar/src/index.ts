export * from "./address.ts";
export * from "./formats.ts";
export * from "./ledger.ts";
