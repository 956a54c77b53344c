// Keys that work everywhere: `/` searches, `g` and a letter or a country code goes there, `?` says which there are.
import { signal } from "@preact/signals";
import { go, to } from "./route";

export const helpShown = signal(false);

const PAGES: Record<string, string> = {
  l: "live", f: "messages", m: "matrix", d: "databases", n: "notices", i: "identities", a: "alerts", o: "operations",
};
/** How long a second key is waited for. */
const PATIENCE_MS = 1500;

let begun: { keys: string; at: number } | undefined;

export function listen(): () => void {
  const heard = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement | null;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") helpShown.value = false;
    if (target?.closest("input, select, textarea")) return;
    const fresh = begun && event.timeStamp - begun.at < PATIENCE_MS ? begun.keys : undefined;
    if (fresh !== undefined && /^[a-z]$/i.test(event.key)) {
      const keys = fresh + event.key.toLowerCase();
      begun = { keys, at: event.timeStamp };
      if (keys.length === 2) {
        begun = undefined;
        go(to("country", keys.toUpperCase()));
        event.preventDefault();
      }
    } else if (fresh && event.key === "Enter") {
      const page = PAGES[fresh];
      begun = undefined;
      if (page) go(to(page));
      event.preventDefault();
    } else if (event.key === "g") {
      begun = { keys: "", at: event.timeStamp };
    } else if (event.key === "/") {
      document.querySelector<HTMLInputElement>("#search")?.focus();
      event.preventDefault();
    } else if (event.key === "?") {
      helpShown.value = !helpShown.value;
    }
  };
  addEventListener("keydown", heard);
  return () => removeEventListener("keydown", heard);
}
