export * from "./command.ts";
export * from "./port.ts";
export * from "./trust.ts";
export * from "./webhook.ts";
