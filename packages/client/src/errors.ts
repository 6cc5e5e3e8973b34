import type { ErrorCode, Problem } from "@x1agent/contract";

/** The service said no, or failed: carries its problem document. `code` is what to decide by. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.detail);
    this.name = "ApiError";
    this.code = problem.code;
    this.status = problem.status;
    this.problem = problem;
  }
}

/** An argument that can name nothing: no request was sent. */
export class InvalidArgument extends TypeError {}

/** Nobody answered at the address, or what answered is no x1agent. */
export class UnreachableError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "UnreachableError";
  }
}
