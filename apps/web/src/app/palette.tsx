import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command } from "cmdk";
import { useState } from "react";
import { Modal } from "../components/dialog.tsx";
import { JobStateMark } from "../components/job-state.tsx";
import { visible } from "../lib/format.ts";
import { jobsQuery } from "../lib/jobs.ts";
import { meQuery } from "../lib/queries.ts";
import { placesOf } from "./places.ts";

/** Search and commands (Ctrl K): every place and the newest jobs, by their words. */
export function Palette({ close }: { close: () => void }) {
  const navigate = useNavigate();
  const places = placesOf(useQuery(meQuery).data?.scopes ?? []);
  const [text, setText] = useState("");
  const jobs = useQuery({ ...jobsQuery, refetchInterval: false });
  const go = (to: string) => {
    close();
    void navigate({ to });
  };
  return (
    <Modal title="Search and go to" close={close} look="palette">
      <Command label="Search and go to" loop>
        <Command.Input autoFocus placeholder="Go to a page or a job" value={text} onValueChange={setText} />
        <Command.List>
          <Command.Group heading="Pages">
            {places.map(({ to, label, icon: Icon, keys }) => (
              <Command.Item key={to} value={label} onSelect={() => go(to)}>
                <Icon size={16} aria-hidden /> {label} <kbd>{keys}</kbd>
              </Command.Item>
            ))}
          </Command.Group>
          <Command.Group heading="Newest jobs">
            {jobs.data?.items.map((job) => (
              <Command.Item
                key={job.id}
                value={`${job.id} ${job.title} ${job.state.replaceAll("_", " ")}`}
                onSelect={() => go(`/jobs/${job.id}`)}
              >
                <span className="title">{visible(job.title)}</span> <JobStateMark state={job.state} />
              </Command.Item>
            ))}
          </Command.Group>
          {text.trim() ? (
            <Command.Group forceMount>
              <Command.Item value="⌕" forceMount onSelect={() => go(`/jobs?q=${encodeURIComponent(text.trim())}`)}>
                Search all jobs for “{text.trim()}”
              </Command.Item>
            </Command.Group>
          ) : null}
        </Command.List>
      </Command>
      <p className="quiet keys">
        <kbd>g i</kbd> Inbox · <kbd>g j</kbd> Jobs · <kbd>j</kbd> <kbd>k</kbd> move in lists · <kbd>Enter</kbd> opens ·
        on a job <kbd>a</kbd> goes to the decision · <kbd>?</kbd> this help
      </p>
    </Modal>
  );
}
