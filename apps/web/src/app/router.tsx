import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { NotFound, RouteError } from "../components/states.tsx";
import { Frame } from "./frame.tsx";

/** A new screen: one feature folder, one route here, one line in `navigation` of frame.tsx. */
const root = createRootRoute({ component: Frame, notFoundComponent: NotFound, errorComponent: RouteError });

const inbox = createRoute({
  getParentRoute: () => root,
  path: "/",
  component: lazyRouteComponent(() => import("../features/inbox/components/inbox.tsx"), "Inbox"),
});
const jobs = createRoute({
  getParentRoute: () => root,
  path: "/jobs",
  validateSearch: (search: Record<string, unknown>): { q?: string } =>
    typeof search.q === "string" && search.q ? { q: search.q } : {},
  component: lazyRouteComponent(() => import("../features/jobs/components/jobs.tsx"), "Jobs"),
});
const newJob = createRoute({
  getParentRoute: () => root,
  path: "/new",
  component: lazyRouteComponent(() => import("../features/jobs/components/new-job.tsx"), "NewJob"),
});
const job = createRoute({
  getParentRoute: () => root,
  path: "/jobs/$jobId",
  component: lazyRouteComponent(() => import("../features/job/components/job-page.tsx"), "JobPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([inbox, jobs, newJob, job]),
  defaultPreload: "intent",
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
