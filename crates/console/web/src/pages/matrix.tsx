// Country by country: who sends to whom, what fails, how long it takes, who owes answers.
import { ascending, descending, max } from "d3-array";
import { scaleSqrt } from "d3-scale";
import { useState } from "preact/hooks";
import { go, to } from "../route";
import type { Pair, Statistics } from "../types";
import { Head, Nothing, Panel, Party, Shown, Table, useLookup } from "../ui";
import { count, country, duration, rate, t, type Word } from "../words";

type Measure = "rate" | "failed" | "delivery_p99_ms" | "overdue";
const MEASURES: Measure[] = ["rate", "failed", "delivery_p99_ms", "overdue"];
/** A pair, and what it sends a minute. */
type Told = Pair & { rate: number };
const WINDOWS = [300, 900, 3600];
/** Countries a side: those with most. */
const SIDE = 40;
/** Pairs in the table. */
const ROWS = 50;
/** Room for the whole, and the sides of a cell. */
const WIDTH = 880;
const CELLS: [number, number] = [18, 34];

export function MatrixPage() {
  const [measure, setMeasure] = useState<Measure>("rate");
  const [window_s, setWindow] = useState(300);
  const [byCode, setByCode] = useState(false);
  const looked = useLookup<Statistics>("Statistics", { window_s }, 5000);
  return (
    <>
      <Head title={t("page.matrix")}>
        <div class="controls">
          <div class="choices" role="group" aria-label={t("shows")}>
            {MEASURES.map((one) => (
              <button key={one} type="button" aria-pressed={one === measure} onClick={() => setMeasure(one)}>
                {t(`measure.${one}` as Word)}
              </button>
            ))}
          </div>
          <label>
            {t("window")}
            <select value={window_s} onChange={(event) => setWindow(Number(event.currentTarget.value))}>
              {WINDOWS.map((seconds) => (
                <option key={seconds} value={seconds}>
                  {duration(seconds * 1000)}
                </option>
              ))}
            </select>
          </label>
          <label class="check">
            <input type="checkbox" checked={byCode} onChange={(event) => setByCode(event.currentTarget.checked)} /> {t("by_code")}
          </label>
        </div>
      </Head>
      <Shown looked={looked}>{(data) => <Matrix pairs={told(data)} measure={measure} byCode={byCode} />}</Shown>
    </>
  );
}

/** A window that is longer than the hub has counted counts as long as that. */
function told({ pairs, at_ms, since_ms }: Statistics): Told[] {
  const minutes = Math.max(1, at_ms - since_ms) / 60_000;
  return pairs.map((pair) => ({ ...pair, rate: pair.accepted / minutes }));
}

function say(pair: Told, measure: Measure): string {
  const value = pair[measure];
  if (measure === "delivery_p99_ms") return duration(value);
  return measure === "rate" ? rate(value) : count(value);
}

function Matrix({ pairs, measure, byCode }: { pairs: Told[]; measure: Measure; byCode: boolean }) {
  const shown = pairs.filter((pair) => pair.to !== "" && pair[measure] > 0);
  const refused = pairs.filter((pair) => pair.to === "" && pair.failed > 0);
  const sorted = [...shown].sort((a, b) => descending(a[measure], b[measure]) || ascending(a.from + a.to, b.from + b.to));
  return (
    <div class="beside">
      <Panel title={t(`measure.${measure}` as Word)} class="heat" aside={<span class="quiet">{t("from_rows")}</span>}>
        {shown.length === 0 ? <Nothing>{t("nothing_to_show")}</Nothing> : <Heat pairs={shown} measure={measure} byCode={byCode} />}
      </Panel>
      {shown.length > 0 && (
        <Panel title={t("pairs")} class="pairs">
          <Pairs pairs={sorted.slice(0, ROWS)} />
        </Panel>
      )}
      {measure === "failed" && refused.length > 0 && (
        <Panel title={t("refused_at_hub")}>
          <ul class="rows">
            {refused.map((pair) => (
              <li key={pair.from}>
                <Party code={pair.from} /> <b>{count(pair.failed)}</b>
              </li>
            ))}
          </ul>
        </Panel>
      )}
    </div>
  );
}

function Heat({ pairs, measure, byCode }: { pairs: Told[]; measure: Measure; byCode: boolean }) {
  const [over, setOver] = useState<Told>();
  const codes = order(pairs, measure, byCode);
  const at = new Map(codes.map((code, place) => [code, place]));
  const most = max(pairs, (pair) => pair[measure]) ?? 1;
  const strength = scaleSqrt([0, most], [0.08, 1]);
  const cell = Math.max(CELLS[0], Math.min(CELLS[1], Math.floor(WIDTH / Math.max(1, codes.length))));
  const side = codes.length * cell;
  return (
    <>
      <div class="scroll" role="region" aria-label={t("page.matrix")} tabIndex={0}>
        <svg class={`matrix ${measure}`} dir="ltr" width={side + 34} height={side + 30} aria-hidden="true" onPointerLeave={() => setOver(undefined)}>
          {codes.map((code, place) => (
            <g key={code} class={over && (over.from === code || over.to === code) ? "over" : ""}>
              <text x={28} y={place * cell + 24 + cell * 0.72} text-anchor="end">{code}</text>
              <text x={34 + place * cell + cell / 2} y={18} text-anchor="middle">{code}</text>
            </g>
          ))}
          <rect class="ground" x={33} y={23} width={side + 1} height={side + 1} />
          {pairs.map((pair) => {
            const row = at.get(pair.from);
            const column = at.get(pair.to);
            if (row === undefined || column === undefined) return null;
            return (
              <rect
                key={`${pair.from} ${pair.to}`} class="cell" x={34 + column * cell} y={24 + row * cell} width={cell - 1} height={cell - 1}
                fill-opacity={strength(pair[measure])} onPointerEnter={() => setOver(pair)}
                onClick={() => go(to("messages", "", { from: pair.from, to: pair.to }))}
              />
            );
          })}
        </svg>
      </div>
      <p class="quiet under">
        {over ? `${country(over.from)} → ${country(over.to)}: ${say(over, measure)}` : t("matrix_hint", { n: count(codes.length) })}
      </p>
    </>
  );
}

function order(pairs: Told[], measure: Measure, byCode: boolean): string[] {
  const sums = new Map<string, number>();
  for (const pair of pairs) {
    for (const code of [pair.from, pair.to]) sums.set(code, (sums.get(code) ?? 0) + pair[measure]);
  }
  const most = [...sums].sort((a, b) => descending(a[1], b[1]) || ascending(a[0], b[0])).slice(0, SIDE).map(([code]) => code);
  return byCode ? most.sort(ascending) : most;
}

function Pairs({ pairs }: { pairs: Told[] }) {
  return (
    <Table label={t("pairs")} head={[t("from"), t("to"), ...MEASURES.map((measure) => t(`measure.${measure}` as Word)), t("sent"), t("delivered"), ""]}>
      {pairs.map((pair) => (
        <tr key={`${pair.from} ${pair.to}`} data-pair={`${pair.from}-${pair.to}`}>
          <th scope="row">
            <Party code={pair.from} />
          </th>
          <td>
            <Party code={pair.to} />
          </td>
          {MEASURES.map((measure) => (
            <td key={measure} class="number" data-measure={measure}>
              {pair[measure] > 0 ? say(pair, measure) : <span class="quiet">0</span>}
            </td>
          ))}
          <td class="number accepted">{count(pair.accepted)}</td>
          <td class="number">{count(pair.delivered)}</td>
          <td>
            <a href={to("messages", "", { from: pair.from, to: pair.to })}>{t("messages")}</a>
          </td>
        </tr>
      ))}
    </Table>
  );
}
