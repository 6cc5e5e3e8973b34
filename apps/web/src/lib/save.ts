/** Gives text to the person as a file. */
export function saveFile(name: string, parts: string | readonly string[], type: string): void {
  const url = URL.createObjectURL(new Blob(typeof parts === "string" ? [parts] : [...parts], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads it after the click: let go once that has surely begun.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
