/** Fields of a log line; values are JSON. */
export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = "debug" | "info" | "warn" | "error";

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger whose lines carry these fields too. */
  with(fields: LogFields): Logger;
  /** From now on this value is replaced wherever it would be written. */
  redact(secret: string): void;
}

const order: Record<LogLevel, number> = { debug: 10, info: 20, warn: 30, error: 40 };
const MAX_LINE = 8_192;

const serialize = (_key: string, value: unknown): unknown => {
  if (typeof value === "bigint") return String(value);
  if (!(value instanceof Error)) return value;
  const { name, message, stack, cause } = value;
  return { name, message, stack, ...("code" in value ? { code: value.code } : {}), cause };
};

/** A log line is written whatever it is about: what JSON cannot hold is named instead. */
function toLine(fields: LogFields): string {
  try {
    return JSON.stringify(fields, serialize);
  } catch (error) {
    return JSON.stringify({ ts: fields.ts, level: fields.level, message: fields.message, unwritable: String(error) });
  }
}

/** JSON lines, one event each, bounded. Known secrets are cut out of the finished line, whatever field they came in. */
export function createLogger(options: { level?: LogLevel; write?: (line: string) => void } = {}): Logger {
  const least = order[options.level ?? "info"];
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const secrets = new Set<string>();
  const make = (base: LogFields): Logger => {
    const line = (level: LogLevel, message: string, fields: LogFields = {}) => {
      if (order[level] < least) return;
      let text = toLine({ ts: new Date().toISOString(), level, message, ...base, ...fields });
      for (const secret of secrets) text = text.replaceAll(secret, "[redacted]");
      write(`${text.length > MAX_LINE ? `${text.slice(0, MAX_LINE)}…` : text}\n`);
    };
    return {
      debug: (message, fields) => line("debug", message, fields),
      info: (message, fields) => line("info", message, fields),
      warn: (message, fields) => line("warn", message, fields),
      error: (message, fields) => line("error", message, fields),
      with: (fields) => make({ ...base, ...fields }),
      redact: (secret) => {
        // Shorter ones are words that occur anyway.
        if (secret.length < 6) return;
        secrets.add(secret);
        secrets.add(JSON.stringify(secret).slice(1, -1));
      },
    };
  };
  return make({});
}

/** For tests and tools that want silence. */
export const silentLogger: Logger = createLogger({ write: () => {} });
