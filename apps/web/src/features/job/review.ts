import type { RouteResponse } from "@x1agent/contract";

export type Evidence = RouteResponse<"listEvidence">["items"][number];
