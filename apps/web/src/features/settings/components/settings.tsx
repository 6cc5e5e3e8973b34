import { Link, useParams } from "@tanstack/react-router";
import { CircleUserRound, GitPullRequest, HardDrive, KeySquare, Server, Users } from "lucide-react";
import { useTitle } from "../../../lib/title.ts";
import { AccountSection } from "./account.tsx";
import { ConnectionsSection } from "./connections.tsx";
import { InstallationSection } from "./installation.tsx";
import { PeopleSection } from "./people.tsx";
import { StorageSection } from "./storage.tsx";
import { TokensSection } from "./tokens.tsx";
import "../../../components/ledger.css";
import "../settings.css";

const sections = [
  { id: "account", label: "Your account", icon: CircleUserRound, view: AccountSection },
  { id: "people", label: "People", icon: Users, view: PeopleSection },
  { id: "connections", label: "Connections", icon: GitPullRequest, view: ConnectionsSection },
  { id: "tokens", label: "API tokens", icon: KeySquare, view: TokensSection },
  { id: "installation", label: "Installation", icon: Server, view: InstallationSection },
  { id: "storage", label: "Backup and storage", icon: HardDrive, view: StorageSection },
] as const;

/** One section at a time, each with an address of its own. */
export function Settings() {
  const { section = "account" } = useParams({ strict: false }) as { section?: string };
  const shown = sections.find(({ id }) => id === section) ?? sections[0];
  useTitle(shown.label);
  return (
    <>
      <div className="head">
        <h1>Settings</h1>
      </div>
      <div className="settings">
        <ul className="settings-nav" aria-label="Sections of the settings">
          {sections.map(({ id, label, icon: Icon }) => (
            <li key={id}>
              <Link
                to="/settings/$section"
                params={{ section: id }}
                aria-current={id === shown.id ? "page" : undefined}
              >
                <Icon size={16} aria-hidden /> {label}
              </Link>
            </li>
          ))}
        </ul>
        <div className="settings-body">
          <shown.view />
        </div>
      </div>
    </>
  );
}
