// Where the reader is: the part of the address after `#`, so that every place can be kept and sent.
import { signal } from "@preact/signals";

export interface Place {
  page: string;
  rest: string;
  query: URLSearchParams;
}

function read(): Place {
  const text = location.hash.replace(/^#\/?/, "");
  const [path = "", query = ""] = text.split("?", 2);
  const [page = "", ...rest] = path.split("/");
  return { page: page || "live", rest: rest.map(decodeURIComponent).join("/"), query: new URLSearchParams(query) };
}

export const place = signal<Place>(read());
addEventListener("hashchange", () => {
  place.value = read();
});

/** Goes there. */
export function go(to: string): void {
  location.hash = to;
}

/** The address of a page. */
export function to(page: string, rest = "", query: Record<string, string> = {}): string {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "")).toString();
  return `#/${page}${rest ? `/${encodeURIComponent(rest)}` : ""}${asked ? `?${asked}` : ""}`;
}
