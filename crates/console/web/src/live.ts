// What moves: the live stream of the console, and the last hour played again. Both are scenes; the picture draws either.
import { batch, computed, signal } from "@preact/signals";
import { ask, user, whoIsThere } from "./api";
import type { FlowCountry, FlowNumbers, FlowTick, TapEvent } from "./types";

/** Single messages that are kept for the list. */
const KEPT = 40;
/** Seconds that are fetched at once when the past is played. */
const PART_S = 60;
/** A moment that is dragged over is not looked up. */
const DRAG_MS = 120;

/** How things stand, and who wants to hear what moves. */
export class Scene {
  readonly countries = signal<ReadonlyMap<string, FlowCountry>>(new Map());
  readonly numbers = signal<FlowNumbers | null>(null);
  readonly at = signal(0);
  /** The same in whole seconds: for what need not be drawn anew with every tick. */
  readonly second = computed(() => Math.floor(this.at.value / 1000) * 1000);
  private readonly hearers = new Set<(tick: FlowTick) => void>();

  hear(hearer: (tick: FlowTick) => void): () => void {
    this.hearers.add(hearer);
    return () => this.hearers.delete(hearer);
  }

  take(tick: FlowTick, afresh = false): void {
    batch(() => {
      this.at.value = tick.at_ms;
      if (tick.numbers) this.numbers.value = tick.numbers;
      if (afresh || tick.countries.length > 0) {
        const countries = new Map(afresh ? [] : this.countries.value);
        for (const country of tick.countries) countries.set(country.party, country);
        this.countries.value = countries;
      }
    });
    for (const hearer of this.hearers) hearer(tick);
  }

  stand(countries: FlowCountry[], numbers: FlowNumbers | null, at: number): void {
    batch(() => {
      this.countries.value = new Map(countries.map((country) => [country.party, country]));
      this.numbers.value = numbers;
      this.at.value = at;
    });
  }
}

export const live = new Scene();

/** The time by the hub's clock, which is what the hub's times are compared with; this browser's own while it is not known. */
export function now(): number {
  return live.at.peek() || Date.now();
}

/** Why the hub is not heard: null when it is, undefined before anything is known. */
export const hubLost = signal<string | null | undefined>(undefined);
/** Whether this page hears the console. */
export const consoleLost = signal(false);
export const recent = signal<TapEvent[]>([]);

let source: EventSource | undefined;
let again: ReturnType<typeof setTimeout> | undefined;

/** Opens the stream, and opens it again when it breaks. */
export function follow(): void {
  if (source) return;
  const opened = new EventSource("/api/live");
  source = opened;
  opened.addEventListener("open", () => {
    consoleLost.value = false;
  });
  opened.addEventListener("picture", (event) => {
    const told = JSON.parse(event.data) as {
      lost: string | null;
      at_ms: number;
      countries: FlowCountry[];
      numbers: FlowNumbers | null;
    };
    batch(() => {
      hubLost.value = told.lost;
      live.stand(told.countries, told.numbers, told.at_ms);
    });
  });
  opened.addEventListener("tick", (event) => live.take(JSON.parse(event.data) as FlowTick));
  opened.addEventListener("tap", (event) => {
    const told = JSON.parse(event.data) as { events: TapEvent[] };
    const shown = told.events.filter((one) => one.event === "accepted" || one.event === "refused").reverse();
    if (shown.length > 0) recent.value = [...shown, ...recent.value].slice(0, KEPT);
  });
  opened.addEventListener("error", () => {
    consoleLost.value = true;
    if (opened.readyState !== EventSource.CLOSED) return;
    // Refused: the session has ended, or too many watch.
    source = undefined;
    clearTimeout(again);
    again = setTimeout(() => {
      void whoIsThere().then(() => {
        if (user.value) follow();
      });
    }, 2000);
  });
}

export function unfollow(): void {
  clearTimeout(again);
  source?.close();
  source = undefined;
  recent.value = [];
  hubLost.value = undefined;
}

/** The past, when it is looked at. */
export interface Past {
  /** The hub's time that is shown. */
  at: number;
  playing: boolean;
  speed: number;
}

export const past = signal<Past | null>(null);
export const replayed = new Scene();
export const pastFailed = signal(false);

let parts: { from: number; until: number; ticks: FlowTick[] } | undefined;
let fetching: AbortController | undefined;

/** Shows the moment, playing on from there or not. */
export async function show(at: number, playing: boolean): Promise<void> {
  const speed = past.value?.speed ?? 10;
  past.value = { at, playing: false, speed };
  if (!(await fetchPart(at))) return;
  // The first says how all stood, also when it is of a later second, since nothing happened before.
  const before = parts?.ticks.filter((tick, place) => place === 0 || tick.at_ms <= at) ?? [];
  replayed.stand([], null, at);
  for (const tick of before) replayed.take({ ...tick, links: [] });
  if (past.value) past.value = { at, playing, speed };
}

export function backToLive(): void {
  fetching?.abort();
  parts = undefined;
  past.value = null;
}

async function fetchPart(at: number): Promise<boolean> {
  fetching?.abort();
  if (parts && at >= parts.from + 2000 && at < parts.until - 1000) return true;
  const abort = new AbortController();
  fetching = abort;
  // Who drags passes many moments and means the last.
  await new Promise((done) => setTimeout(done, DRAG_MS));
  if (abort.signal.aborted) return false;
  // Some seconds before, so that the first tick of the answer, which says how all stood, is not after the moment.
  const from = Math.floor(at / 1000) * 1000 - 2000;
  const until = from + PART_S * 1000;
  try {
    const told = await ask<{ seconds: FlowTick[] }>("Replay", { from_ms: from, until_ms: until, links: 64 }, abort.signal);
    parts = { from, until, ticks: told.seconds };
    pastFailed.value = false;
    return true;
  } catch {
    if (!abort.signal.aborted) pastFailed.value = true;
    return false;
  }
}

/** Plays on by so much real time; the page calls it from its animation. */
export function playOn(passed: number): void {
  const now = past.value;
  if (!now?.playing || !parts) return;
  const until = now.at + passed * now.speed;
  for (const tick of parts.ticks) {
    if (tick.at_ms > now.at && tick.at_ms <= until) replayed.take(tick);
  }
  if (until >= live.at.value - 1000) {
    backToLive();
    return;
  }
  replayed.at.value = until;
  past.value = { ...now, at: until };
  if (until >= parts.until - 1000) {
    past.value = { ...now, at: until, playing: false };
    void show(until, true);
  }
}
