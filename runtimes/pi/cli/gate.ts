/**
 * Loaded into the CLI when tools must be asked for (`ask`): holds every tool call of the model until the answer comes
 * from outside. A policy hook inside the agent's own process, not a wall: the workspace is the wall.
 */
type ToolCall = { toolCallId: string; toolName: string; input: unknown };
type Context = { ui: { confirm(title: string, message: string): Promise<boolean> } };
type Extension = {
  on(event: "tool_call", handler: (event: ToolCall, context: Context) => Promise<Block | undefined>): void;
};
type Block = { block: true; reason: string };

export default function gate(cli: Extension): void {
  cli.on("tool_call", async ({ toolCallId, toolName, input }, { ui }) => {
    // The title carries what the adapter needs to match the question with the tool call.
    const title = JSON.stringify({ x1: "approval", toolCallId, toolName });
    const allowed = await ui.confirm(title, JSON.stringify(input));
    return allowed ? undefined : { block: true, reason: "A person refused this call. Do something else or stop." };
  });
}
