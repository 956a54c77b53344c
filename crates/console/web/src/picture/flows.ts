// What moves, on a canvas: towards the hub when it is accepted, away from it when it is delivered. Bounded: what comes
// when there is no room left is drawn as a brighter line and not as a grain of its own.
import type { FlowTick, Lane } from "../types";
import type { Layout, Spot } from "./layout";

const GRAINS = 900;
/** One grain for so many square pixels at most. */
const ROOM = 500;
/** From bureau to hub, or back. */
const WAY_MS = 620;
/** After so long half of a line's brightness is left. */
const HALF_MS = 900;

interface Grain {
  spot: Spot;
  inwards: boolean;
  refused: boolean;
  lane: Lane;
  size: number;
  begun: number;
}

const COLOURS: Record<Lane, string> = {
  VERY_URGENT: "--lane-very-urgent",
  URGENT: "--lane-urgent",
  NORMAL: "--lane-normal",
  BULK: "--lane-bulk",
  UNSPECIFIED: "--lane-bulk",
};

/** Draws the flows of one picture. */
export class Flows {
  private grains: Grain[] = [];
  private readonly warmth = new Map<string, number>();
  private spots = new Map<string, Spot>();
  private layout: Layout | undefined;
  private colours: Partial<Record<Lane | "down" | "line", string>> = {};
  private last = 0;
  private most = GRAINS;
  private scale = 1;
  private brightest = 0.5;

  constructor(private readonly canvas: HTMLCanvasElement) {}

  place(layout: Layout): void {
    this.layout = layout;
    this.spots = new Map(layout.spots.map((spot) => [spot.code, spot]));
    this.grains = [];
    this.most = Math.min(GRAINS, (layout.width * layout.height) / ROOM);
    this.scale = layout.width < 480 ? 0.65 : 1;
    // Two hundred bright lines would be a disc.
    this.brightest = Math.max(0.13, Math.min(0.5, 9 / Math.max(1, layout.spots.length)));
    const ratio = Math.min(2, devicePixelRatio || 1);
    this.canvas.width = Math.round(layout.width * ratio);
    this.canvas.height = Math.round(layout.height * ratio);
    this.canvas.getContext("2d")?.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.recolour();
  }

  /** Takes the colours of the page again. */
  recolour(): void {
    const style = getComputedStyle(this.canvas);
    for (const [lane, name] of Object.entries(COLOURS)) this.colours[lane as Lane] = style.getPropertyValue(name).trim();
    this.colours.down = style.getPropertyValue("--down").trim();
    this.colours.line = style.getPropertyValue("--flow").trim();
  }

  take(tick: FlowTick, now: number): void {
    const inwards = new Map<string, { spot: Spot; lane: Lane; refused: boolean; sum: number }>();
    const outwards = new Map<string, { spot: Spot; lane: Lane; refused: boolean; sum: number }>();
    for (const link of tick.links) {
      this.gather(inwards, link.from, link.lane, link.refused > 0, link.accepted + link.refused);
      this.gather(outwards, link.to, link.lane, false, link.delivered);
    }
    for (const [moved, way] of [[inwards, true], [outwards, false]] as const) {
      for (const { spot, lane, refused, sum } of moved.values()) {
        this.warmth.set(spot.code, Math.min(1, (this.warmth.get(spot.code) ?? 0) + 0.22));
        if (this.grains.length >= this.most) continue;
        // Spread over the tick, so that they do not march in step.
        const begun = now + Math.random() * Math.min(200, tick.span_ms || 200);
        this.grains.push({ spot, lane, refused, inwards: way, size: this.scale * (1.5 + Math.min(2.4, Math.log2(1 + sum) * 0.5)), begun });
      }
    }
  }

  private gather(
    into: Map<string, { spot: Spot; lane: Lane; refused: boolean; sum: number }>, code: string, lane: Lane, refused: boolean,
    sum: number,
  ): void {
    const spot = this.spots.get(code);
    if (!spot || sum === 0) return;
    const key = `${code} ${lane} ${refused}`;
    const held = into.get(key);
    if (held) held.sum += sum;
    else into.set(key, { spot, lane, refused, sum });
  }

  /** One frame. */
  draw(now: number): void {
    const context = this.canvas.getContext("2d");
    const layout = this.layout;
    if (!context || !layout) return;
    const cooled = 0.5 ** ((now - this.last) / HALF_MS);
    this.last = now;
    context.clearRect(0, 0, layout.width, layout.height);
    const { hub } = layout;
    context.lineWidth = 1;
    context.strokeStyle = this.colours.line ?? "#888";
    for (const [code, warmth] of this.warmth) {
      const spot = this.spots.get(code);
      const left = warmth * cooled;
      if (left < 0.02 || !spot) {
        this.warmth.delete(code);
        continue;
      }
      this.warmth.set(code, left);
      context.globalAlpha = this.brightest * left;
      context.beginPath();
      context.moveTo(hub.x, hub.y);
      context.lineTo(spot.x, spot.y);
      context.stroke();
    }
    this.grains = this.grains.filter((grain) => now - grain.begun < WAY_MS);
    for (const grain of this.grains) this.grain(context, grain, now);
    context.globalAlpha = 1;
  }

  private grain(context: CanvasRenderingContext2D, grain: Grain, now: number): void {
    const hub = this.layout?.hub;
    const part = (now - grain.begun) / WAY_MS;
    if (!hub || part < 0) return;
    const eased = part < 0.5 ? 2 * part * part : 1 - 2 * (1 - part) * (1 - part);
    // What is refused comes as far as the hub's door.
    const way = grain.inwards ? 1 - eased * (grain.refused ? 0.85 : 0.97) : 0.03 + eased * 0.97;
    const x = hub.x + (grain.spot.x - hub.x) * way;
    const y = hub.y + (grain.spot.y - hub.y) * way;
    context.globalAlpha = Math.min(1, 4 * (1 - part), 8 * part + 0.2);
    if (grain.refused) {
      const arm = grain.size + 1.2;
      context.strokeStyle = this.colours.down ?? "#c00";
      context.lineWidth = 1.6;
      context.beginPath();
      context.moveTo(x - arm, y - arm);
      context.lineTo(x + arm, y + arm);
      context.moveTo(x + arm, y - arm);
      context.lineTo(x - arm, y + arm);
      context.stroke();
      return;
    }
    context.fillStyle = this.colours[grain.lane] ?? "#888";
    context.beginPath();
    context.arc(x, y, grain.size, 0, 2 * Math.PI);
    context.fill();
  }
}
