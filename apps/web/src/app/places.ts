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

/** Where one can go from everywhere. The first three stand in a phone's bar, the rest behind More. */
export const places: readonly { to: string; label: string; icon: LucideIcon; keys: string }[] = [
  { to: "/", label: "Inbox", icon: Inbox, keys: "g i" },
  { to: "/jobs", label: "Jobs", icon: ListChecks, keys: "g j" },
  { to: "/new", label: "New job", icon: Plus, keys: "g n" },
  { to: "/projects", label: "Projects", icon: FolderGit2, keys: "g p" },
  { to: "/runtimes", label: "Runtimes", icon: Cpu, keys: "g r" },
  { to: "/providers", label: "Providers", icon: PlugZap, keys: "g o" },
  { to: "/permissions", label: "Permissions", icon: ShieldCheck, keys: "g e" },
  { to: "/spend", label: "Spend", icon: ChartColumn, keys: "g s" },
  { to: "/audit", label: "Audit", icon: ScrollText, keys: "g a" },
  { to: "/settings", label: "Settings", icon: Settings, keys: "g t" },
];
