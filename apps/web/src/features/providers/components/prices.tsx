import { useQuery } from "@tanstack/react-query";
import { formatUsd } from "@x1agent/contract";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Empty } from "../../../components/states.tsx";
import { View } from "../../../components/view.tsx";
import { client } from "../../../lib/client.ts";
import { formatCount, visible } from "../../../lib/format.ts";

/** Rows shown before one asks for the rest. */
const FIRST = 20;

/** Models with a known price. A model without one is refused, so the list answers "can I use it?". */
export function Prices() {
  const prices = useQuery({
    queryKey: ["prices"],
    queryFn: ({ signal }) => client.listPrices({ signal }),
    staleTime: 60_000,
  });
  const [words, setWords] = useState("");
  const [provider, setProvider] = useState("");
  const [all, setAll] = useState(false);
  return (
    <section aria-labelledby="prices" className="prices">
      <div className="panel-head">
        <h2 id="prices">Models and prices</h2>
      </div>
      <p className="lead">
        US dollars per million tokens. A model that is not in this list is refused: what cannot be priced cannot be held
        to a budget.
      </p>
      <View query={prices} what="the prices">
        {({ items }) => {
          const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
          const found = items.filter(
            (price) =>
              (!provider || price.provider === provider) &&
              wanted.every((word) => `${price.provider}/${price.model}`.toLowerCase().includes(word)),
          );
          const shown = all || wanted.length > 0 ? found : found.slice(0, FIRST);
          const sources = [...new Set(items.map(({ source, asOf }) => `${source}, newest change ${asOf}`))];
          return (
            <>
              <div className="tools">
                <input
                  type="search"
                  aria-label="Filter models"
                  placeholder="Filter models"
                  value={words}
                  onChange={(event) => setWords(event.target.value)}
                />
                <select aria-label="Provider" value={provider} onChange={(event) => setProvider(event.target.value)}>
                  <option value="">All providers</option>
                  {[...new Set(items.map((price) => price.provider))].map((name) => (
                    <option key={name}>{name}</option>
                  ))}
                </select>
                <span className="quiet push" role="status">
                  {formatCount(found.length)} models
                </span>
              </div>
              {found.length === 0 ? (
                <Empty>
                  <p>No priced model fits.</p>
                  <Button
                    onClick={() => {
                      setWords("");
                      setProvider("");
                    }}
                  >
                    Show all
                  </Button>
                </Empty>
              ) : (
                <div className="ledger-box">
                  <table className="ledger" aria-label="Models and prices">
                    <thead>
                      <tr>
                        <th scope="col">Model</th>
                        <th scope="col">Provider</th>
                        <th scope="col" className="number">
                          Input
                        </th>
                        <th scope="col" className="number">
                          Output
                        </th>
                        <th scope="col" className="number">
                          Cache read
                        </th>
                        <th scope="col" className="number">
                          Cache write
                        </th>
                        <th scope="col">Source</th>
                      </tr>
                    </thead>
                    <tbody>
                      {shown.map((price) => (
                        <tr key={`${price.provider}/${price.model}`}>
                          <td>
                            <code className="main">{visible(price.model)}</code>
                            {price.tiersFrom.length > 0 ? (
                              <span className="sub">
                                more from {price.tiersFrom.map((from) => formatCount(from)).join(", ")} tokens of input
                              </span>
                            ) : null}
                          </td>
                          <td data-label="Provider">{visible(price.provider)}</td>
                          <Money label="Input" micros={price.inputMicrosPerMTok} />
                          <Money label="Output" micros={price.outputMicrosPerMTok} />
                          <Money label="Cache read" micros={price.cacheReadMicrosPerMTok} />
                          <Money label="Cache write" micros={price.cacheWriteMicrosPerMTok} />
                          <td data-label="Source" className="quiet" title={price.source}>
                            {visible(price.asOf)}
                          </td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              )}
              {shown.length < found.length ? (
                <div className="more">
                  <Button onClick={() => setAll(true)}>Show all {formatCount(found.length)}</Button>
                </div>
              ) : null}
              <p className="hint">
                Source:{" "}
                {sources
                  .slice(0, 3)
                  .map((source) => visible(source))
                  .join("; ")}
                {sources.length > 3 ? `; and ${sources.length - 3} more` : ""}. The list is read at start, never
                fetched.
              </p>
            </>
          );
        }}
      </View>
    </section>
  );
}

function Money({ label, micros }: { label: string; micros: number }) {
  return (
    <td className="number mono" data-label={label}>
      {formatUsd(micros)}
    </td>
  );
}
