import { safeSettings, settingsEnvironment } from "./run.ts";

/** Where things are inside a workspace. Handed to scripts as whole arguments, so that a driver can translate them. */
export const inside = { work: "/workspace", base: "/x1/base.git" } as const;

/**
 * Environment of the platform's own git commands inside a workspace: the same rules as outside. It protects the result
 * from settings that the agent left in its home, not the service from the workspace: all output stays unproven.
 */
export const insideGitEnvironment: Readonly<Record<string, string>> = {
  LC_ALL: "C",
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_ATTR_NOSYSTEM: "1",
  GIT_TERMINAL_PROMPT: "0",
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_GRAFT_FILE: "/dev/null",
  GIT_ALLOW_PROTOCOL: "none",
  GIT_LFS_SKIP_SMUDGE: "1",
  ...settingsEnvironment([...safeSettings, ["safe.directory", "*"], ["core.quotePath", "false"]]),
};

/** `bash -c script name argument...`: arguments are data and never part of the script's text. */
export const bash = (script: string, ...args: string[]): string[] => ["/bin/bash", "-c", script, "x1", ...args];
