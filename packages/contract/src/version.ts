/** The runtime contract this build speaks. Within a major, fields, types and verbs are only added. */
export const CONTRACT_VERSION = "1.0";

/** The major of a contract version such as `1.4`; `null` when the text is not one. */
export function contractMajor(version: string): number | null {
  const match = /^(\d+)\.(\d+)$/.exec(version);
  return match ? Number(match[1]) : null;
}

/** Whether a peer that states `version` can be spoken to by this build. */
export function isSupportedContract(version: string): boolean {
  return contractMajor(version) === contractMajor(CONTRACT_VERSION);
}
