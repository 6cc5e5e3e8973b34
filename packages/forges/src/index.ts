export * from "./codeowners.ts";
export * from "./command.ts";
export * from "./follow.ts";
export * from "./issue.ts";
export * from "./markup.ts";
export * from "./port.ts";
export * from "./trust.ts";
export * from "./webhook.ts";
