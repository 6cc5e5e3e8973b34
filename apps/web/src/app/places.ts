import { ChartColumn, Cpu, FolderGit2, Inbox, ListChecks, type LucideIcon, Plus } from "lucide-react";

/** Where one can go from everywhere. The first three stand in a phone's bar, the rest behind More. */
export const places: readonly { to: string; label: string; icon: LucideIcon; keys: string }[] = [
  { to: "/", label: "Inbox", icon: Inbox, keys: "g i" },
  { to: "/jobs", label: "Jobs", icon: ListChecks, keys: "g j" },
  { to: "/new", label: "New job", icon: Plus, keys: "g n" },
  { to: "/projects", label: "Projects", icon: FolderGit2, keys: "g p" },
  { to: "/runtimes", label: "Runtimes", icon: Cpu, keys: "g r" },
  { to: "/spend", label: "Spend", icon: ChartColumn, keys: "g s" },
];
