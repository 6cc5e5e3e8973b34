/** A TLS ClientHello in one record, with a server name or without (RFC 8446 section 4.1.2, RFC 6066 section 3). */
export function hello(name: string | null): Buffer {
  const host = Buffer.from(name ?? "");
  const entry = Buffer.concat([Buffer.from([0, 0, 0, host.length + 5, 0, host.length + 3, 0, 0, host.length]), host]);
  const extensions = name === null ? Buffer.from([0, 23, 0, 0]) : Buffer.concat([Buffer.from([0, 23, 0, 0]), entry]);
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32),
    Buffer.from([0, 0, 2, 19, 1, 1, 0, 0, extensions.length]),
    extensions,
  ]);
  const message = Buffer.concat([Buffer.from([1, 0, body.length >> 8, body.length & 255]), body]);
  return Buffer.concat([Buffer.from([22, 3, 1, message.length >> 8, message.length & 255]), message]);
}
