// Where everything stands: the hub in the middle, the bureaus around it on an ellipse, region by region.
import type { Member } from "../types";

export interface Spot {
  code: string;
  x: number;
  y: number;
  /** Outwards, in radians. */
  angle: number;
}

export interface RegionArc {
  region: string;
  path: string;
  /** What its name stands on, in the direction in which it is read: below the hub the other way round. */
  read: string;
  below: boolean;
}

export interface Layout {
  width: number;
  height: number;
  hub: { x: number; y: number };
  /** Size of a bureau. */
  size: number;
  labels: boolean;
  spots: Spot[];
  arcs: RegionArc[];
}

/** Clockwise from the top, as a reader of maps may expect them. */
const REGIONS = ["Europe", "MENA", "Asia-Pacific", "Africa", "Americas"];
/** Steps in which the ellipse is measured. */
const STEPS = 1440;
const TURN = 2 * Math.PI;

/** Lays the members out. The gaps between regions are as wide as some bureaus. */
export function layOut(members: Member[], width: number, height: number): Layout {
  const margin = width < 480 ? 40 : 52;
  const hub = { x: width / 2, y: height / 2 };
  const rx = Math.max(40, Math.min(width / 2 - margin, (height / 2 - margin) * 1.7));
  const ry = Math.max(40, height / 2 - margin);
  const regions = REGIONS.map((region) => ({
    region,
    members: members.filter((member) => member.region === region).sort((a, b) => a.code.localeCompare(b.code)),
  })).filter(({ members }) => members.length > 0);
  const gap = Math.max(1, members.length / 40);
  const places = members.length + gap * regions.length;
  const measured = measure(rx, ry);
  const room = (measured.length / Math.max(1, places)) * 0.9;
  const two = room < 15;
  const size = Math.max(2.6, Math.min(7.5, room * (two ? 0.62 : 0.3)));
  const spots: Spot[] = [];
  const arcs: RegionArc[] = [];
  // Europe, the first, has its middle at the top.
  let place = -((regions[0]?.members.length ?? 0) - 1) / 2;
  for (const { region, members } of regions) {
    const begin = place;
    members.forEach((member, at) => {
      const angle = measured.angle(place / places);
      // Where there is little room, every second one stands further in.
      const inset = two && at % 2 === 1 ? size * 2.9 : 0;
      spots.push({ code: member.code, angle, x: hub.x + (rx - inset) * Math.cos(angle), y: hub.y + (ry - inset) * Math.sin(angle) });
      place += 1;
    });
    arcs.push(arc(region, measured.angle((begin - 0.4) / places), measured.angle((place - 0.6) / places), hub, rx, ry, margin));
    place += gap;
  }
  return { width, height, hub, size, labels: room * (two ? 2 : 1) > 21, spots, arcs };
}

function arc(
  region: string, from: number, until: number, hub: { x: number; y: number }, rx: number, ry: number, margin: number,
): RegionArc {
  const out = margin * 0.52;
  const end = until < from ? until + TURN : until;
  const middle = (from + end) / 2;
  const along = (begin: number, stop: number) => {
    const steps = Math.max(2, Math.ceil((stop - begin) * 24));
    return Array.from({ length: steps + 1 }, (_, at) => {
      const angle = begin + ((stop - begin) * at) / steps;
      return `${(hub.x + (rx + out) * Math.cos(angle)).toFixed(1)} ${(hub.y + (ry + out) * Math.sin(angle)).toFixed(1)}`;
    });
  };
  const below = Math.sin(middle) > 0.2;
  // A name may be longer than its region's arc.
  const half = Math.max((end - from) / 2, 0.5);
  const read = along(middle - half, middle + half);
  if (below) read.reverse();
  return { region, path: `M${along(from, end).join("L")}`, read: `M${read.join("L")}`, below };
}

/** The angle at a part of the way round, so that all stand equally far apart. It begins at the top. */
function measure(rx: number, ry: number): { length: number; angle: (part: number) => number } {
  const lengths = new Float64Array(STEPS + 1);
  for (let step = 1; step <= STEPS; step += 1) {
    const before = ((step - 1) / STEPS) * TURN - Math.PI / 2;
    const after = (step / STEPS) * TURN - Math.PI / 2;
    const dx = rx * (Math.cos(after) - Math.cos(before));
    const dy = ry * (Math.sin(after) - Math.sin(before));
    lengths[step] = (lengths[step - 1] ?? 0) + Math.hypot(dx, dy);
  }
  const length = lengths[STEPS] ?? 1;
  return {
    length,
    angle: (part) => {
      const wanted = (((part % 1) + 1) % 1) * length;
      let low = 0;
      let high = STEPS;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if ((lengths[middle] ?? 0) <= wanted) low = middle;
        else high = middle;
      }
      const from = lengths[low] ?? 0;
      const share = (wanted - from) / Math.max(1e-9, (lengths[high] ?? 0) - from);
      return ((low + share) / STEPS) * TURN - Math.PI / 2;
    },
  };
}
