export { diffText, evidenceText, forgeFacts, jobFacts, stateText, verificationText } from "./job.ts";
export { createProgress, type Progress, type ProgressFacts, type ProgressOptions } from "./progress.ts";
export { createStyle, duration, formatBytes, type Style, table } from "./style.ts";
export { visible, visibleLine } from "./visible.ts";
