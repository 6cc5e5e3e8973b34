/** Fixed ports of the pod. */
export const ports = {
  events: 3100,
  input: 8788,
  sidecarApi: 9090,
  inference: 11432,
  egress: 3128,
  sidecarHealth: 9091,
} as const;
