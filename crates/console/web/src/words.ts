// The reader's language: texts from `words/`, numbers and names of countries from the browser.
import { computed, effect } from "@preact/signals";
import ar from "./words/ar.json";
import alertsAr from "./words/alerts/ar.json";
import alertsEs from "./words/alerts/es.json";
import alertsFr from "./words/alerts/fr.json";
import en from "./words/en.json";
import es from "./words/es.json";
import fr from "./words/fr.json";
import { language } from "./settings";
import type { Alert, AlertValue } from "./types";

export type Word = keyof typeof en;
type Words = Record<Word, string>;

// Complete, or it does not compile.
const all: Record<string, Words> = { en, fr, es, ar };
export const LANGUAGES: [string, string][] = [
  ["en", "English"],
  ["fr", "Français"],
  ["es", "Español"],
  ["ar", "العربية"],
];

function chosen(): string {
  const wanted = [language.value, ...navigator.languages.map((tag) => tag.slice(0, 2))];
  return wanted.find((tag) => tag in all) ?? "en";
}

export const current = computed(chosen);
export const rtl = computed(() => current.value === "ar");
effect(() => {
  document.documentElement.lang = current.value;
  document.documentElement.dir = rtl.value ? "rtl" : "ltr";
});

/** The text for a word, with `{name}` filled in. */
export function t(word: Word, values: Record<string, string | number> = {}): string {
  const text = (all[current.value] ?? en)[word] ?? en[word];
  return filled(text, values);
}

function filled(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

/** The text for a word that the hub said, such as `VERY_URGENT` of `lane`; itself where there is none. */
export function said(group: string, value: string): string {
  const key = keyOf(group, value);
  return key in en ? t(key as Word) : value.toLowerCase().replace(/_/g, " ");
}

// The hub says these in English.
interface Rule {
  watches: string;
  do: string;
  says: Record<string, string>;
}
const rules: Record<string, Record<string, Rule>> = { ar: alertsAr, es: alertsEs, fr: alertsFr };

/** What a rule for alerts watches, in the reader's language; as the hub says it where there are no words. */
export function watches(rule: string, english: string): string {
  return rules[current.value]?.[rule]?.watches ?? english;
}

/** What to do when a rule has found something, and about whom and what it has. */
export function toDo(rule: string, english: string, about: { party?: string; message_id?: string } = {}): string {
  const told = rules[current.value]?.[rule]?.do ?? english;
  return told.replace("COUNTRY", about.party || "COUNTRY").replace("MESSAGE", about.message_id || "MESSAGE");
}

/** What is wrong, in the reader's language; nothing where there are no words for all of it. */
export function says({ rule, phrases }: Alert): string | undefined {
  const told = rules[current.value]?.[rule]?.says;
  if (!told || phrases.length === 0 || phrases.some(({ name }) => !(name in told))) return undefined;
  return phrases.map(({ name, values }) => filled(told[name] ?? "", Object.fromEntries(values.map((value) => [value.name, written(value)])))).join("");
}

/** A value of a phrase, as such a value is written on all pages. */
function written(value: AlertValue): string {
  if (value.count !== undefined) return count(value.count);
  if (value.time_ms !== undefined) return duration(value.time_ms);
  if (value.bytes !== undefined) return bytes(value.bytes);
  if (value.percent !== undefined) return percent(value.percent / 100);
  if (value.party !== undefined) return country(value.party);
  if (value.lane !== undefined) return said("lane", value.lane);
  if (value.purpose !== undefined) return said("purpose", value.purpose);
  // It is read from left to right, whatever stands around it.
  return `\u2066${identity(value.verbatim ?? "")}\u2069`;
}

/** Why there is no answer: what a page says of it, or the hub's reason. */
export function whyNot(value: string): string {
  return said(keyOf("error", value) in en ? "error" : "reason", value);
}

function keyOf(group: string, value: string): string {
  return `${group}.${value.toLowerCase().replace(/[ -]/g, "_")}`;
}

// Digits are Latin in every language: ids and log positions are, and they stand side by side.
const locale = computed(() => `${current.value}-u-nu-latn`);

const names = computed(() => new Intl.DisplayNames([current.value], { type: "region" }));

/** A country's name in the reader's language. */
export function country(code: string): string {
  if (code === "IPSG") return t("secretariat");
  if (!/^[A-Z]{2}$/.test(code)) return code;
  return names.value.of(code) ?? code;
}

/** An identity without the network's own name before it: `ncb/fr`. */
export function identity(text: string): string {
  return text.replace(/^spiffe:\/\/[^/]+\//, "");
}

export function count(value: number): string {
  return new Intl.NumberFormat(locale.value, { maximumFractionDigits: 0 }).format(value);
}

export function rate(value: number): string {
  // What is rare is not nothing.
  if (value > 0 && value < 0.1) return new Intl.NumberFormat(locale.value, { maximumSignificantDigits: 1 }).format(value);
  return new Intl.NumberFormat(locale.value, { maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
}

export function percent(value: number): string {
  return new Intl.NumberFormat(locale.value, { style: "percent", maximumFractionDigits: value < 0.1 ? 1 : 0 }).format(value);
}

export function bytes(value: number): string {
  const units: [number, string][] = [[1e9, "gigabyte"], [1e6, "megabyte"], [1000, "kilobyte"]];
  const [size, unit] = units.find(([size]) => value >= 10 * size) ?? [1, "byte"];
  return new Intl.NumberFormat(locale.value, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 }).format(value / size);
}

/** How long, in the unit that says it best. */
export function duration(ms: number): string {
  const units: [number, string][] = [[86_400_000, "day"], [3_600_000, "hour"], [60_000, "minute"], [1000, "second"]];
  const fitting = units.find(([size]) => Math.abs(ms) >= size * (size === 1000 ? 1 : 2));
  const [size, unit] = fitting ?? [1, "millisecond"];
  const amount = ms / size;
  return new Intl.NumberFormat(locale.value, {
    style: "unit", unit, unitDisplay: "short", maximumFractionDigits: Math.abs(amount) < 10 && size > 1 ? 1 : 0,
  }).format(amount);
}

export function moment(ms: number): string {
  return new Intl.DateTimeFormat(locale.value, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23", timeZone: "UTC" }).format(ms);
}

export function day(ms: number): string {
  return new Intl.DateTimeFormat(locale.value, { dateStyle: "medium", timeZone: "UTC" }).format(ms);
}

export function clock(ms: number, millis = false): string {
  return new Intl.DateTimeFormat(locale.value, {
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: "UTC",
    ...(millis ? { fractionalSecondDigits: 3 as const } : {}),
  }).format(ms);
}
