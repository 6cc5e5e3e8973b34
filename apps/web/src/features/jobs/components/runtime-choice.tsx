import type { RouteResponse } from "@x1agent/contract";

type Runtime = RouteResponse<"listRuntimes">["items"][number];
type Props = {
  runtimes: readonly Runtime[];
  value: string;
  set(name: string): void;
  /** The project's own choice; null where it has none. */
  projectDefault: string | null;
};

/** Every runtime of the catalogue with what it can and cannot do; one that is not installed says so. */
export function RuntimeChoice({ runtimes, value, set, projectDefault }: Props) {
  const title = (name: string) => runtimes.find(({ manifest }) => manifest.name === name)?.manifest.title ?? name;
  return (
    <fieldset className="runtimes">
      <legend>Runtime</legend>
      <label className="card check">
        <input type="radio" name="runtime" value="" checked={value === ""} onChange={() => set("")} />
        <span>
          <strong>{projectDefault ? `The project's: ${title(projectDefault)}` : "The installation's default"}</strong>
        </span>
      </label>
      {runtimes.map(({ manifest, installed }) => (
        <label key={manifest.name} className="card check">
          <input
            type="radio"
            name="runtime"
            value={manifest.name}
            checked={value === manifest.name}
            disabled={!installed}
            onChange={() => set(manifest.name)}
          />
          <span>
            <strong>{manifest.title}</strong> <span className="mono quiet">{manifest.version}</span>
            <span className="quiet block">
              {installed ? manifest.capabilities.join(", ") : "not installed: see Runtimes"}
            </span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
