// The trace of a message as bars: for each recipient how long it waited, when it was delivered, opened and acted on.
import { ascending } from "d3-array";
import { scaleSymlog } from "d3-scale";
import { useState } from "preact/hooks";
import { now } from "../live";
import type { Trace } from "../types";
import { Panel, Party } from "../ui";
import { count, duration, said, t } from "../words";

/** So many recipients are shown unless more are asked for. */
const FIRST = 20;
/** Marks of the scale, in milliseconds. */
const MARKS = [10, 100, 1000, 10_000, 60_000, 3_600_000, 86_400_000];
/** Marks are at least so far apart, in parts of a hundred. */
const APART = 17;

interface Row {
  party: string;
  /** What happened, in the order of time after the signature. */
  steps: { event: string; after: number }[];
  /** Nothing has come to it yet. */
  waits: boolean;
}

export function Waterfall({ trace }: { trace: Trace }) {
  const [all, setAll] = useState(false);
  const rows = rowsOf(trace);
  const first = rows[0];
  if (!first) return null;
  const begun = trace.events[0]?.at_ms ?? 0;
  const last = Math.max(1, ...rows.flatMap((row) => row.steps.map((step) => step.after)));
  // What waits has waited until now.
  const end = rows.some((row) => row.waits) ? Math.max(last, now() - begun) : last;
  const x = scaleSymlog([0, end], [0, 100]).constant(1);
  const marks = MARKS.filter((mark) => mark < end).reduce<number[]>((kept, mark) => (x(mark) - x(kept.at(-1) ?? 0) >= APART && x(mark) <= 100 - APART / 2 ? [...kept, mark] : kept), []);
  const shown = all ? rows : rows.slice(0, FIRST + 1);
  return (
    <Panel title={t("waterfall")} id="waterfall">
      <div class="scale" aria-hidden="true">
        <span style="inset-inline-start:0">0</span>
        {marks.map((mark) => (
          <span key={mark} style={`inset-inline-start:${x(mark)}%`}>
            {duration(mark)}
          </span>
        ))}
      </div>
      <ol class="waterfall">
        {shown.map((row) => (
          <li key={row.party}>
            <p>
              <Party code={row.party} /> <span class="quiet">{told(row)}</span>
            </p>
            <Bar row={row} x={x} end={end} marks={marks} />
          </li>
        ))}
      </ol>
      {rows.length > shown.length && (
        <button type="button" onClick={() => setAll(true)}>
          {t("show_all_n", { n: count(rows.length - 1) })}
        </button>
      )}
      <p class="quiet note">{t("waterfall_scale")}</p>
    </Panel>
  );
}

/** From step to step; each has the colour of the step that it begins with. */
function Bar({ row, x, end, marks }: { row: Row; x: (after: number) => number; end: number; marks: number[] }) {
  return (
    <svg class="parts" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      {row.steps.map((step, at) => {
        const next = row.steps[at + 1];
        if (!next && !row.waits) return null;
        const until = next ? next.after : end;
        return <rect key={step.event} class={step.event} x={x(step.after)} width={Math.max(0, x(until) - x(step.after))} height="4" />;
      })}
      {row.steps.map((step) => (
        <rect key={step.event} class={`step ${step.event}`} x={Math.min(99.2, x(step.after))} width=".8" height="4" />
      ))}
      {marks.map((mark) => (
        <line key={mark} class="grid" x1={x(mark)} x2={x(mark)} y2="4" vector-effect="non-scaling-stroke" />
      ))}
    </svg>
  );
}

/** The row in words. */
function told(row: Row): string {
  const steps = row.steps.filter((step) => step.event !== "queued" && step.event !== "signed");
  const words = steps.map((step) => `${said("event", step.event)} ${t("after", { time: duration(step.after) })}`);
  if (row.steps.at(-1)?.event === "queued") words.push(said("recipient", "QUEUED"));
  return words.join(" · ");
}

/** The sender first, then the recipients in the order in which they had it; who waits comes last. */
function rowsOf(trace: Trace): Row[] {
  const begun = trace.events[0]?.at_ms ?? 0;
  // Another clock than the hub's may have been a little ahead.
  const after = (at_ms: number) => Math.max(0, at_ms - begun);
  const decided = trace.events.find((event) => event.event === "accepted" || event.event === "refused");
  if (!decided) return [];
  const accepted = after(decided.at_ms);
  const signed = trace.events.find((event) => event.event === "signed");
  const sender = [...(signed ? [{ event: "signed", after: 0 }] : []), { event: decided.event, after: accepted }];
  const rows = (trace.status?.recipients ?? []).map(({ party }) => {
    const own = trace.events.filter((event) => event.party.split("/")[0] === party && event !== decided && event.event !== "signed");
    const steps = own.map((event) => ({ event: event.event, after: Math.max(accepted, after(event.at_ms)) })).sort((a, b) => ascending(a.after, b.after));
    return { party, steps: [{ event: "queued", after: accepted }, ...steps], waits: steps.length === 0 };
  });
  rows.sort((a, b) => ascending(a.steps[1]?.after ?? Infinity, b.steps[1]?.after ?? Infinity) || ascending(a.party, b.party));
  return [{ party: trace.sender.split("/")[0] ?? "", steps: sender, waits: false }, ...rows];
}
