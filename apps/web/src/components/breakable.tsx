import { Fragment } from "react";

/** A path, address or branch that breaks where its parts end and not within a word. */
export function Breakable({ text }: { text: string }) {
  return text.split(/(?<=[/-])/).map((part, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: parts have no identity
    <Fragment key={index}>
      {part}
      <wbr />
    </Fragment>
  ));
}
