import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkBody, type Format, formats } from "./formats.ts";
import { scanBody } from "./scan.ts";

const of = (api: string): Format => formats.find((entry) => entry.api === api) as Format;
const scan = (api: string, text: string) => scanBody(of(api), Buffer.from(text));
const apis = formats.map(({ api }) => api);

const mostly = <T>(usual: T, ...other: T[]) =>
  fc.oneof({ arbitrary: fc.constant(usual), weight: 8 }, fc.constantFrom(...other));

/** Pieces of which bodies are made: usual ones, and those that decide something, oddly spelled ones among them. */
const key = fc.oneof(
  { arbitrary: fc.constantFrom("type", "role", "text", "content", "input", "name", "a"), weight: 9 },
  {
    arbitrary: fc.constantFrom("source", "image_url", "file_id", "file_url", "ttl", "environment", "tools", "output"),
    weight: 1,
  },
  { arbitrary: fc.string({ maxLength: 8 }), weight: 3 },
);
const leaf = fc.oneof(
  {
    arbitrary: fc.constantFrom("1h", "url", "item_reference", "additional_tools", "web_search", "https://x"),
    weight: 1,
  },
  {
    arbitrary: fc.constantFrom(
      ...['say "source" and \\', '\\"', "a\\u0041", '/* " */', "ünï – 😀", "", "user", "custom", null, true, 0, -1.5e3],
    ),
    weight: 9,
  },
  { arbitrary: fc.string({ unit: "binary", maxLength: 60 }), weight: 3 },
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: "xsmall", maxDepth: 6 },
    leaf,
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.dictionary(key, tie("tree"), { maxKeys: 4 }),
  ),
}));
const tool = fc.record(
  {
    type: mostly("custom", "function", "bash_20250124", "web_search", "namespace"),
    name: leaf,
    input_schema: tree,
    environment: tree,
  },
  { requiredKeys: [] },
);
const body = fc.record(
  {
    model: mostly("m", "", "é", 'a"b', null),
    ...{ messages: tree, input: tree, system: tree, tools: fc.array(tool, { maxLength: 2 }) },
    stream: fc.constantFrom(true, false, null),
    stream_options: mostly({ include_usage: true }, { include_usage: false }, {}, null),
    store: mostly(false, true, null),
    ...{ max_tokens: fc.constantFrom(10, 1.5, null, "5"), max_output_tokens: fc.constantFrom(7, 9) },
    ...{ n: mostly(1, 2, null), service_tier: mostly("default", "auto", "priority", null) },
    ...{ metadata: tree, background: leaf },
  },
  { requiredKeys: ["model"] },
);
/** The same document in other words: white space, escapes, a part of it twice. */
const spelled = (text: string, how: { pad: string; escape: number; twice: number; cut: number }): string => {
  let out = text;
  if (how.pad) out = out.replace(/^\{/, `{${how.pad}`).replace(/":/g, `":${how.pad}`);
  // A letter in a string as its escape: every so many, so that names and values are met.
  if (how.escape > 0) {
    let seen = 0;
    out = out.replace(/(?<=[a-z"])[a-z](?=[a-z_"])/g, (char) => {
      seen += 1;
      return seen % how.escape === 0 ? `\\u00${char.charCodeAt(0).toString(16)}` : char;
    });
  }
  const pairs = [...out.matchAll(/"[a-z_]+":(?:"[^"\\]*"|true|false|null|\d+)(?=,)/g)];
  const pair = pairs[how.twice % (pairs.length || 1)];
  if (how.twice > 0 && pair) out = `${out.slice(0, pair.index)}${pair[0]},${out.slice(pair.index)}`;
  return how.cut > 0 ? out.slice(0, out.length - how.cut) : out;
};
const spelling = fc.record({
  pad: fc.constantFrom("", "", " ", "\n\t"),
  escape: fc.constantFrom(0, 0, 1, 3, 7),
  twice: fc.oneof(fc.constant(0), fc.nat(20)),
  cut: fc.constantFrom(0, 0, 0, 1, 5),
});

describe("the scan", () => {
  it("accepts nothing that the whole check refuses, and then says and sends the same", () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.constantFrom(...apis), body, spelling, fc.nat(4), (api, value, how, foreign) => {
        const known = ([name]: [string, unknown]) => foreign === 0 || of(api).fields.has(name);
        const text = spelled(JSON.stringify(Object.fromEntries(Object.entries(value).filter(known))), how);
        const found = scan(api, text);
        if (!found) return;
        accepted += 1;
        const whole = checkBody(of(api), text);
        expect(whole).toMatchObject({ ok: true });
        if (!whole.ok) return;
        const { bytes, ...facts } = found;
        const { bytes: sent, ...wanted } = whole.value;
        expect(facts).toEqual(wanted);
        const parsed: unknown = JSON.parse(bytes.toString("utf8"));
        expect(parsed).toEqual(JSON.parse(sent.toString("utf8")));
      }),
      { numRuns: 3_000 },
    );
    expect(accepted).toBeGreaterThan(50);
  });

  it("sees quotes, escapes and control characters at every place of a long string, wherever the bytes lie", () => {
    const frame = (text: string) => `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"${text}"}]}`;
    for (let offset = 0; offset < 4; offset += 1)
      for (let at = 0; at < 12; at += 1) {
        const read = (char: string) => {
          const bytes = Buffer.from(frame(`${"é".repeat(2)}${"x".repeat(at)}${char}${"y".repeat(20)}`));
          const moved = Buffer.from(new ArrayBuffer(bytes.length + 8), offset, bytes.length);
          bytes.copy(moved);
          return scanBody(of("anthropic-messages"), moved);
        };
        for (const char of ["z", "\u007f", '\\"', "\\\\", "\\n", " ", "!", "#", "["])
          expect(read(char), `${char} at ${at}`).not.toBeNull();
        for (const char of ["\u0000", "\n", "\u001f", '"', '\\\\"', '"]}]} {'])
          expect(read(char), `${char} at ${at}`).toBeNull();
      }
  });

  it("decides on what clients send, as it was sent", () => {
    const tools = [
      {
        name: "Bash",
        description: 'runs "x"\n',
        input_schema: { type: "object", properties: { a: { type: "string" } } },
      },
    ];
    const messages = [
      {
        role: "user",
        content: [{ type: "text", text: 'say "source", "1h" and \\', cache_control: { type: "ephemeral" } }],
      },
    ];
    const text = JSON.stringify({ model: "m", max_tokens: 5, stream: true, system: "é", tools, messages });
    const found = scan("anthropic-messages", text);
    expect(found).toMatchObject({ model: "m", maxTokens: 5, stream: true, hour: false });
    expect(found?.bytes.toString()).toBe(text);
    expect(
      scan(
        "openai-chat",
        JSON.stringify({ model: "m", messages, stream: true, stream_options: { include_usage: true } }),
      ),
    ).not.toBeNull();
    const input = [
      { role: "user", content: "hi" },
      { type: "function_call_output", call_id: "c", output: "x" },
    ];
    expect(scan("openai-responses", JSON.stringify({ model: "m", input }))?.bytes.toString()).toBe(
      `{"store":false,${JSON.stringify({ model: "m", input }).slice(1)}`,
    );
  });

  it.each([
    ["a field twice", '{"model":"a","model":"b"}'],
    ["a field spelled with an escape", '{"model":"a","\\u006dessages":[]}'],
    ["an unknown field", '{"model":"a","mcp_servers":[]}'],
    ["a tool's type twice", '{"model":"a","tools":[{"type":"custom","type":"web_search"}]}'],
    ["a tool that runs at the provider", '{"model":"a","tools":[{"type":"web_search_20250305"}]}'],
    ["a word in an escape", '{"model":"a","messages":[{"sourc\\u0065":{"type":"url"}}]}'],
    ["an hour's cache", '{"model":"a","messages":[{"ttl" : "1h"}]}'],
    ["a comment that hides a quote", '{"model":"a","messages":[/*"*/],"mcp_servers":[/*"*/]}'],
    ["brackets that do not match", '{"model":"a","messages":[}'],
    ["a number that is not safe", '{"model":"a","max_tokens":1e400}'],
    ["something behind", '{"model":"a"} {}'],
    ["no object", '["model"]'],
    ["an end in a string", '{"model":"a","messages":"\\"'],
    ["a line's end in a string", '{"model":"a","messages":"one\ntwo"}'],
    ["a line's end in a name", '{"model":"a","messages":{"a\tb":1}}'],
    ["depth", `{"model":"a","messages":${"[".repeat(40)}${"]".repeat(40)}}`],
  ])("leaves to the whole check: %s", (_, text) => expect(scan("anthropic-messages", text)).toBeNull());

  it("leaves bytes that are no UTF-8 to the whole check: an overlong quote could end a string elsewhere", () => {
    const bytes = Buffer.concat([
      Buffer.from('{"model":"a","messages":"'),
      Buffer.from([0xc0, 0xa2]),
      Buffer.from('"}'),
    ]);
    expect(scanBody(of("anthropic-messages"), bytes)).toBeNull();
  });

  it("leaves stored items, and items found by their id, to the whole check", () => {
    for (const input of [
      [{ id: "x" }],
      [{ type: "item_reference", id: "x" }],
      [{ type: "additional_tools", tools: [] }],
      ["x"],
    ])
      expect(scan("openai-responses", JSON.stringify({ model: "m", input }))).toBeNull();
  });
});
