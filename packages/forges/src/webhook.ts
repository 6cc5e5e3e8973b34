import type { ForgeDelivery } from "./port.ts";

/** Reads one header of a request by its lower-case name. */
export type HeaderReader = (name: string) => string | undefined;

/**
 * What an adapter knows of its forge's webhooks. Both are pure; nothing of a body is looked at before `signed` said yes.
 */
export type WebhookKind = {
  /** Whether the signature over the raw bytes was made with the secret; takes the same time whatever is wrong. */
  signed(header: HeaderReader, body: Uint8Array, secret: string): Promise<boolean>;
  /** Where the delivery says to look; null when it is none that can be read. */
  read(header: HeaderReader, body: unknown): ForgeDelivery | null;
};
