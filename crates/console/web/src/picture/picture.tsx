// The network as a picture: bureaus as links that the keyboard reaches, what moves between them on a canvas beneath.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Scene } from "../live";
import { to } from "../route";
import { colours } from "../settings";
import { stateOf, waiting, type State } from "../state";
import type { FlowCountry, Member } from "../types";
import { count, country, said, t } from "../words";
import { Flows } from "./flows";
import { layOut, type Spot } from "./layout";

/** The bureaus that the directory has, with where they belong. */
export function present(members: Member[], countries: ReadonlyMap<string, FlowCountry>): Member[] {
  return members.filter((member) => countries.has(member.code));
}

export function Picture(props: { scene: Scene; members: Member[]; lost: boolean; onFrame: (passed: number) => void }) {
  const { scene, members, lost } = props;
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const flows = useRef<Flows | null>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const countries = scene.countries.value;
  const codes = present(members, countries).map((member) => member.code).join(" ");
  const layout = useMemo(
    () => layOut(present(members, countries), size.width, size.height),
    [codes, size.width, size.height],
  );
  useEffect(() => {
    if (!box.current) return;
    const observer = new ResizeObserver(([entry]) => {
      const { width = 0, height = 0 } = entry?.contentRect ?? {};
      setSize({ width: Math.round(width), height: Math.round(height) });
    });
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (!canvas.current || layout.width === 0) return;
    flows.current ??= new Flows(canvas.current);
    flows.current.place(layout);
  }, [layout]);
  useEffect(() => {
    const timer = setTimeout(() => flows.current?.recolour());
    return () => clearTimeout(timer);
  }, [colours.value]);
  useEffect(() => {
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    const unhear = scene.hear((tick) => {
      if (!document.hidden && !still.matches) flows.current?.take(tick, performance.now());
    });
    let frame = requestAnimationFrame(draw);
    let last = performance.now();
    function draw(now: number) {
      props.onFrame(Math.min(1000, now - last));
      last = now;
      flows.current?.draw(now);
      frame = requestAnimationFrame(draw);
    }
    return () => {
      unhear();
      cancelAnimationFrame(frame);
    };
  }, [scene]);
  const numbers = scene.numbers.value;
  return (
    <div class={`picture${lost ? " lost" : ""}`} ref={box}>
      <canvas ref={canvas} aria-hidden="true" />
      <svg width={layout.width} height={layout.height} role="group" aria-label={t("picture")} onKeyDown={walk}>
        {layout.arcs.map((arc) => (
          <g key={arc.region} class="region" aria-hidden="true">
            <path d={arc.path} />
            <path id={`arc-${arc.region}`} class="read" d={arc.read} />
            <text dy={arc.below ? 14 : -6}>
              <textPath href={`#arc-${arc.region}`} startOffset="50%">
                {said("region", arc.region)}
              </textPath>
            </text>
          </g>
        ))}
        {layout.spots.map((spot, at) => (
          <Bureau
            key={spot.code} spot={spot} size={layout.size} labels={layout.labels} first={at === 0}
            country={countries.get(spot.code)} now={scene.second.value} hub={layout.hub}
          />
        ))}
        <g class={`hub${lost || numbers?.writable === false ? " down" : ""}`} transform={`translate(${layout.hub.x} ${layout.hub.y})`}>
          <circle r="31" />
          <text y="-3">{t("hub")}</text>
          <text class="sum" y="13">
            {numbers ? `${count(numbers.links_connected)}/${count(numbers.links)}` : "–"}
          </text>
        </g>
      </svg>
    </div>
  );
}

/** Arrow keys go from bureau to bureau: one stop for the Tab key, not 196. */
function walk(event: KeyboardEvent) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const ends = { Home: 0, End: -1 }[event.key];
  if (step === undefined && ends === undefined) return;
  const all = [...(event.currentTarget as Element).querySelectorAll<SVGAElement>("a.bureau")];
  const at = all.indexOf(document.activeElement as unknown as SVGAElement);
  const next = ends === undefined ? all[(at + (step ?? 0) + all.length) % all.length] : all.at(ends);
  if (!next) return;
  for (const one of all) one.setAttribute("tabindex", one === next ? "0" : "-1");
  next.focus();
  event.preventDefault();
}

interface BureauProps {
  spot: Spot;
  size: number;
  labels: boolean;
  first: boolean;
  country: FlowCountry | undefined;
  now: number;
  hub: { x: number; y: number };
}

function Bureau({ spot, size, labels, first, country: flow, now, hub }: BureauProps) {
  if (!flow) return null;
  const state = stateOf(flow, now);
  const queue = waiting(flow);
  const outwards = Math.atan2(spot.y - hub.y, spot.x - hub.x);
  const degrees = (outwards * 180) / Math.PI;
  // Ten times as many, as much longer again.
  const length = queue > 0 ? Math.min(30, 3 + 8 * Math.log10(1 + queue)) : 0;
  const text = `${spot.code}, ${country(spot.code)}: ${t(`state.${state}`)}${queue > 0 ? `, ${t("waiting_n", { n: count(queue) })}` : ""}`;
  const label = size + 9;
  return (
    <a
      class={`bureau ${state}`} href={to("country", spot.code)} tabindex={first ? 0 : -1} aria-label={text}
      data-code={spot.code} data-queue={queue}
    >
      <title>{text}</title>
      <g transform={`translate(${spot.x.toFixed(1)} ${spot.y.toFixed(1)})`}>
      {length > 0 && <rect class="queue" x={size + 1} y={-size * 0.45} width={length} height={size * 0.9} rx="1" transform={`rotate(${degrees.toFixed(1)})`} />}
      <circle class="reach" r={Math.max(8, size + 2)} />
      <Mark state={state} size={size} />
      {(labels || state === "down") && (
        <text x={(-label * Math.cos(outwards)).toFixed(1)} y={(-label * Math.sin(outwards) + 3.4).toFixed(1)}>
          {spot.code}
        </text>
      )}
      </g>
    </a>
  );
}

function Mark({ state, size }: { state: State; size: number }) {
  const r = state === "well" ? size : size * 1.2;
  if (state === "down") return <path class="mark" d={`M0 ${-r * 1.25}L${r * 1.25} 0 0 ${r * 1.25} ${-r * 1.25} 0Z`} />;
  if (state === "slow") return <path class="mark" d={`M0 ${-r * 1.15}L${r * 1.1} ${r * 0.8}H${-r * 1.1}Z`} />;
  if (state === "held") return <rect class="mark" x={-r * 0.85} y={-r * 0.85} width={r * 1.7} height={r * 1.7} />;
  return <circle class="mark" r={r} />;
}
