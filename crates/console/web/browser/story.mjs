// What a story is told with.
import { readFileSync } from "node:fs";

/** The pages' words in English. */
export const words = JSON.parse(readFileSync(new URL("../src/words/en.json", import.meta.url), "utf8"));

/** Stories that did not come true. */
export const failures = [];

// Only stories with one of these in their names are told, if there are some on the command line.
const wanted = process.argv.slice(2);

/** Tells a story, unless another one is wanted; one on which others stand is told always. */
export async function story(name, tell, { always = false } = {}) {
  if (!always && wanted.length > 0 && !wanted.some((words) => name.includes(words))) return;
  const begun = Date.now();
  try {
    const more = await tell();
    console.log(`ok    ${name}${more ? `: ${more}` : ""} (${Date.now() - begun} ms)`);
  } catch (error) {
    failures.push(name);
    console.log(`FAIL  ${name}: ${error.stack ?? error}`);
  }
}

export function assert(holds, what) {
  if (!holds) throw new Error(what);
}

/** What the console answers to a call that the page may make. */
export const asked = (page, call, request = {}) =>
  page.evaluate(async ([call, request]) => {
    const response = await fetch(`/api/${call}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(request),
    });
    return response.json();
  }, [call, request]);

/** The number in a text. */
export const number = (text) => Number(String(text).replace(/[^\d.]/g, ""));
