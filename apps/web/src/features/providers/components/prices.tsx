import { useQuery } from "@tanstack/react-query";
import { formatUsd, type RouteResponse } from "@x1agent/contract";
import { useState } from "react";
import { Button } from "../../../components/button.tsx";
import { Confirm } from "../../../components/dialog.tsx";
import { Choice, Filters, Words } from "../../../components/filters.tsx";
import { Only } from "../../../components/only.tsx";
import { Empty } from "../../../components/states.tsx";
import { View } from "../../../components/view.tsx";
import { client, queryClient } from "../../../lib/client.ts";
import { formatCount, visible } from "../../../lib/format.ts";
import { PriceDialog } from "./price-dialog.tsx";

type Price = RouteResponse<"listPrices">["items"][number];
const reload = () => queryClient.invalidateQueries({ queryKey: ["prices"] });
/** Rows shown before one asks for the rest. */
const FIRST = 20;

/** Models with a known price. A model without one is refused, so the list answers "can I use it?". */
export function Prices({ providers }: { providers: readonly string[] }) {
  const prices = useQuery({
    queryKey: ["prices"],
    queryFn: ({ signal }) => client.listPrices({ signal }),
    staleTime: 60_000,
  });
  const [words, setWords] = useState("");
  const [provider, setProvider] = useState("");
  const [all, setAll] = useState(false);
  const [stating, setStating] = useState(false);
  const [forgetting, setForgetting] = useState<Price | null>(null);
  return (
    <section aria-labelledby="prices" className="prices">
      <div className="panel-head">
        <h2 id="prices">Models and prices</h2>
        <Only scope="admin">
          <Button onClick={() => setStating(true)}>State a price</Button>
        </Only>
      </div>
      <p className="lead">
        US dollars per million tokens. A model that is not in this list is refused: what cannot be priced cannot be held
        to a budget. State the price of a model of your own, and it can be used.
      </p>
      <View query={prices} what="the prices">
        {({ items }) => {
          const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
          // Those that people stated come first: they are what one comes to look after.
          const ordered = [...items].sort((a, b) => Number(b.stated) - Number(a.stated));
          const found = ordered.filter(
            (price) =>
              (!provider || price.provider === provider) &&
              wanted.every((word) => `${price.provider}/${price.model}`.toLowerCase().includes(word)),
          );
          const shown = all || wanted.length > 0 ? found : found.slice(0, FIRST);
          const sources = [
            ...new Set(
              items.filter(({ stated }) => !stated).map(({ source, asOf }) => `${source}, newest change ${asOf}`),
            ),
          ];
          return (
            <>
              <Filters>
                <Words label="Filter models" placeholder="Filter models" value={words} set={setWords} />
                <Choice
                  label="Provider"
                  all="All providers"
                  options={[...new Set(items.map((price) => price.provider))].map((name) => [name, visible(name)])}
                  value={provider}
                  set={setProvider}
                />
                <span className="quiet push" role="status">
                  {formatCount(found.length)} models
                </span>
              </Filters>
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
                            <code className="main">{visible(price.model)}</code>{" "}
                            {price.stated ? <span className="chip accent">stated here</span> : null}
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
                            {price.stated ? `${visible(price.source)}, ` : ""}
                            {visible(price.asOf)}
                            {price.stated ? (
                              <Only scope="admin">
                                <Button
                                  onClick={() => setForgetting(price)}
                                  aria-label={`Forget the price of ${price.provider}/${price.model}`}
                                >
                                  Forget
                                </Button>
                              </Only>
                            ) : null}
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
      {stating ? <PriceDialog providers={providers} close={() => setStating(false)} saved={reload} /> : null}
      {forgetting ? <Forget price={forgetting} close={() => setForgetting(null)} /> : null}
    </section>
  );
}

function Forget({ price, close }: { price: Price; close(): void }) {
  return (
    <Confirm
      title="Forget the stated price"
      action="Forget price"
      close={close}
      run={() => client.deletePrice({ params: { name: price.provider, model: price.model } }).finally(reload)}
    >
      <p>
        <code>{visible(`${price.provider}/${price.model}`)}</code> costs what the built-in list says, from the next
        attempt on. Where the list does not have it, jobs that ask for it are refused.
      </p>
    </Confirm>
  );
}

function Money({ label, micros }: { label: string; micros: number }) {
  return (
    <td className="number mono" data-label={label}>
      {formatUsd(micros)}
    </td>
  );
}
