// How a bureau stands, in one word: the worst of what is known about it. Colour, shape and text say the same.
import type { FlowCountry } from "./types";

/** From well to worst. `held` is no fault: the authority has suspended or revoked it. */
export type State = "well" | "held" | "slow" | "down";

/** A queue is slow when its oldest message has waited so long. */
const SLOW_MS = 10_000;

export function waiting(country: FlowCountry): number {
  return country.queued.reduce((sum, lane) => sum + lane, 0);
}

export function stateOf(country: FlowCountry, now: number): State {
  if (country.standing !== "ACTIVE") return "held";
  if (!country.connected || country.worst === "CRITICAL") return "down";
  const oldest = country.oldest_accepted_at_ms;
  if (country.worst === "WARNING" || (oldest > 0 && now - oldest > SLOW_MS)) return "slow";
  return "well";
}

const ORDER: State[] = ["down", "slow", "held", "well"];

export function worse(a: State, b: State): number {
  return ORDER.indexOf(a) - ORDER.indexOf(b);
}
