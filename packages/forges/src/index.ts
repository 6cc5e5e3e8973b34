export * from "./port.ts";
export * from "./trust.ts";
