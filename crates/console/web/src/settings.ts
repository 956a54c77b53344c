// What this browser remembers: language, colours, saved views. Nothing of the network.
import { computed, effect, signal } from "@preact/signals";

function kept<T>(key: string, start: T) {
  let value = start;
  try {
    const text = localStorage.getItem(`i247.${key}`);
    if (text) value = JSON.parse(text) as T;
  } catch {
    // A browser that keeps nothing works all the same.
  }
  const held = signal(value);
  effect(() => {
    const text = JSON.stringify(held.value);
    try {
      localStorage.setItem(`i247.${key}`, text);
    } catch {
      // As above.
    }
  });
  return held;
}

export type Theme = "system" | "light" | "dark";
export const theme = kept<Theme>("theme", "system");
export const language = kept<string>("language", "");
export const views = kept<{ name: string; query: string }[]>("views", []);

const dark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(dark.matches);
dark.addEventListener("change", () => {
  systemIsDark.value = dark.matches;
});

/** The colours that are shown: those chosen, or the system's. */
export const colours = computed(() => (theme.value === "system" ? (systemIsDark.value ? "dark" : "light") : theme.value));

effect(() => {
  document.documentElement.dataset.theme = colours.value;
});
