import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { NotFound, RouteError } from "../components/states.tsx";
import { readAuditSearch } from "../features/audit/search.ts";
import { readNewJobSearch, readSearch } from "../features/jobs/search.ts";
import { readLedgerSearch } from "../features/permissions/search.ts";
import { readSpendSearch } from "../features/spend/search.ts";
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
  validateSearch: readSearch,
  component: lazyRouteComponent(() => import("../features/jobs/components/jobs.tsx"), "Jobs"),
});
const newJob = createRoute({
  getParentRoute: () => root,
  path: "/new",
  validateSearch: readNewJobSearch,
  component: lazyRouteComponent(() => import("../features/jobs/components/new-job.tsx"), "NewJob"),
});
const job = createRoute({
  getParentRoute: () => root,
  path: "/jobs/$jobId",
  component: lazyRouteComponent(() => import("../features/job/components/job-page.tsx"), "JobPage"),
});

const projects = createRoute({
  getParentRoute: () => root,
  path: "/projects",
  component: lazyRouteComponent(() => import("../features/projects/components/projects.tsx"), "Projects"),
});
const project = createRoute({
  getParentRoute: () => root,
  path: "/projects/$projectId",
  component: lazyRouteComponent(() => import("../features/projects/components/project-page.tsx"), "ProjectPage"),
});
const runtimes = createRoute({
  getParentRoute: () => root,
  path: "/runtimes",
  component: lazyRouteComponent(() => import("../features/runtimes/components/runtimes.tsx"), "Runtimes"),
});
const spend = createRoute({
  getParentRoute: () => root,
  path: "/spend",
  validateSearch: readSpendSearch,
  component: lazyRouteComponent(() => import("../features/spend/components/spend.tsx"), "SpendPage"),
});

const providers = createRoute({
  getParentRoute: () => root,
  path: "/providers",
  component: lazyRouteComponent(() => import("../features/providers/components/providers.tsx"), "Providers"),
});
const permissions = createRoute({
  getParentRoute: () => root,
  path: "/permissions",
  validateSearch: readLedgerSearch,
  component: lazyRouteComponent(() => import("../features/permissions/components/permissions.tsx"), "Permissions"),
});
const audit = createRoute({
  getParentRoute: () => root,
  path: "/audit",
  validateSearch: readAuditSearch,
  component: lazyRouteComponent(() => import("../features/audit/components/audit.tsx"), "Audit"),
});
const settings = createRoute({
  getParentRoute: () => root,
  path: "/settings",
  component: lazyRouteComponent(() => import("../features/settings/components/settings.tsx"), "Settings"),
});
const settingsSection = createRoute({
  getParentRoute: () => root,
  path: "/settings/$section",
  component: lazyRouteComponent(() => import("../features/settings/components/settings.tsx"), "Settings"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    inbox,
    jobs,
    newJob,
    job,
    projects,
    project,
    runtimes,
    spend,
    providers,
    permissions,
    audit,
    settings,
    settingsSection,
  ]),
  defaultPreload: "intent",
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
