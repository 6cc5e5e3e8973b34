import {
  ChartColumn,
  Cpu,
  FolderGit2,
  Inbox,
  ListChecks,
  type LucideIcon,
  PlugZap,
  Plus,
  ScrollText,
  Settings,
  ShieldCheck,
} from "lucide-react";

export type Place = {
  to: string;
  label: string;
  icon: LucideIcon;
  keys: string;
  /** Whoever lacks it is not sent where there is nothing for them to do. */
  scope?: "write" | "admin";
};

/** Where one can go from everywhere. The first three stand in a phone's bar, the rest behind More. */
const places: readonly Place[] = [
  { to: "/", label: "Inbox", icon: Inbox, keys: "g i" },
  { to: "/jobs", label: "Jobs", icon: ListChecks, keys: "g j" },
  { to: "/new", label: "New job", icon: Plus, keys: "g n", scope: "write" },
  { to: "/projects", label: "Projects", icon: FolderGit2, keys: "g p" },
  { to: "/runtimes", label: "Runtimes", icon: Cpu, keys: "g r" },
  { to: "/providers", label: "Providers", icon: PlugZap, keys: "g o" },
  { to: "/permissions", label: "Permissions", icon: ShieldCheck, keys: "g e" },
  { to: "/spend", label: "Spend", icon: ChartColumn, keys: "g s" },
  { to: "/audit", label: "Audit", icon: ScrollText, keys: "g a", scope: "admin" },
  { to: "/settings", label: "Settings", icon: Settings, keys: "g t" },
];

/** The places of somebody with these scopes. */
export const placesOf = (scopes: readonly string[]): readonly Place[] =>
  places.filter(({ scope }) => !scope || scopes.includes(scope));
