import type { RouteResponse } from "@x1agent/contract";

export type Job = RouteResponse<"getJob">;
export type Evidence = RouteResponse<"listEvidence">["items"][number];
