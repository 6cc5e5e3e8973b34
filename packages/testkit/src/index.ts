export * from "./adapter-harness.ts";
export * from "./database.ts";
export * from "./events.ts";
export * from "./model-server.ts";
export * from "./sample.ts";
export {
  type Action,
  type Conversation,
  Rule,
  Scenario,
  type ScenarioInput,
  solverScenario,
  wrongFirstScenario,
} from "./scenario.ts";
