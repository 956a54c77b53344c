// Curves and bars. Each has a text that says what it shows.
import { max } from "d3-array";
import { scaleLinear } from "d3-scale";
import { area, curveMonotoneX, line } from "d3-shape";
import { count } from "./words";

interface Series {
  name: string;
  values: number[];
  class: string;
}

/** One or more series over the same minutes. */
export function Curves(props: { label: string; series: Series[]; height?: number; begins?: string; ends?: string; say?: (value: number) => string }) {
  const width = 600;
  const height = props.height ?? 120;
  const top = max(props.series, (series) => max(series.values)) ?? 0;
  const length = props.series[0]?.values.length ?? 0;
  const x = scaleLinear([0, Math.max(1, length - 1)], [0, width]);
  const y = scaleLinear([0, Math.max(1, top)], [height - 2, 6]).nice(2);
  const path = line<number>().x((_, at) => x(at)).y((value) => y(value)).curve(curveMonotoneX);
  // In the first minute there is one value: it is a level, not a point that nobody sees.
  const drawn = (values: number[]) => (values.length === 1 ? [...values, ...values] : values);
  const under = area<number>().x((_, at) => x(at)).y0(height).y1((value) => y(value)).curve(curveMonotoneX);
  const say = props.say ?? count;
  return (
    <figure class="plot">
      <div class="canvas">
        <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={`${props.label}: ${props.series.map((series) => `${series.name} ${say(series.values.at(-1) ?? 0)}`).join(", ")}`}>
          {y.ticks(2).map((tick) => (
            <line key={tick} class="grid" x1={0} x2={width} y1={y(tick)} y2={y(tick)} />
          ))}
          {props.series.map((series) => (
            <g key={series.name} class={series.class}>
              <path class="under" d={under(drawn(series.values)) ?? ""} />
              <path class="line" d={path(drawn(series.values)) ?? ""} vector-effect="non-scaling-stroke" />
            </g>
          ))}
        </svg>
        <span class="top" aria-hidden="true">{say(y.domain()[1] ?? 0)}</span>
      </div>
      <figcaption>
        <span>{props.begins}</span>
        {props.series.map((series) => (
          <span key={series.name} class={`key ${series.class}`}>
            <i /> {series.name} <b>{say(series.values.at(-1) ?? 0)}</b>
          </span>
        ))}
        <span>{props.ends}</span>
      </figcaption>
    </figure>
  );
}

/** Parts of a whole, side by side. */
export function Parts(props: { label: string; parts: { name: string; value: number; class: string }[] }) {
  const whole = props.parts.reduce((sum, part) => sum + part.value, 0);
  if (whole === 0) return null;
  let begun = 0;
  return (
    <svg class="parts" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label={`${props.label}: ${props.parts.filter((part) => part.value > 0).map((part) => `${part.name} ${count(part.value)}`).join(", ")}`}>
      {props.parts.map((part) => {
        const x = (begun / whole) * 100;
        begun += part.value;
        return <rect key={part.name} class={part.class} x={x} y={0} width={(part.value / whole) * 100} height={4} />;
      })}
    </svg>
  );
}
