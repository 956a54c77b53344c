// Small parts that every page is made of.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ask, CallError, type Failure } from "./api";
import { now } from "./live";
import { to } from "./route";
import type { State } from "./state";
import { clock, country, moment, said, t, whyNot } from "./words";

/** What a look-up came to. What was there stays while it is asked again. */
export interface Looked<T> {
  data?: T | undefined;
  failure?: Failure | undefined;
}

/** Asks, and asks again: at every change of the request, and every so many milliseconds. */
export function useLookup<T>(call: string, request: Record<string, unknown>, every = 0): Looked<T> {
  const [looked, setLooked] = useState<Looked<T> & { key?: string }>({});
  const key = `${call} ${JSON.stringify(request)}`;
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      let wait = every;
      try {
        const data = await ask<T>(call, request, abort.signal);
        setLooked({ data, key });
      } catch (error) {
        if (abort.signal.aborted) return;
        const failure: Failure = error instanceof CallError ? error.failure : { error: "hub_failed" };
        // What was refused is refused again; what is lost comes back.
        const passes = failure.passes || failure.error === "console_lost";
        wait = every > 0 && passes ? Math.max(every, 2000) : 0;
        setLooked((before) => ({ data: before.key === key ? before.data : undefined, failure, key }));
      }
      // A page that nobody sees asks nothing.
      if (wait > 0 && !abort.signal.aborted) timer = setTimeout(() => void whenSeen(look), wait);
    };
    const whenSeen = (then: () => Promise<void>) => {
      if (!document.hidden) return then();
      document.addEventListener("visibilitychange", () => void then(), { once: true, signal: abort.signal });
      return undefined;
    };
    void look();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
    // The key holds call and request.
  }, [key, every]);
  return looked.key === key ? looked : {};
}

/** What was looked up, or why it is not there. */
export function Shown<T>(props: { looked: Looked<T>; children: (data: T) => ComponentChildren }) {
  const { data, failure } = props.looked;
  return (
    <>
      {failure && <Failed failure={failure} />}
      {data !== undefined ? props.children(data) : !failure && <p class="quiet loading">{t("loading")}</p>}
    </>
  );
}

export function Failed({ failure }: { failure: Failure }) {
  const more = failure.next_step ?? "";
  return (
    <p class="failed" role="alert">
      <Shape state="down" /> {whyNot(failure.reason ?? failure.error)} {more && <span class="quiet" lang="en"><bdi>{more}</bdi></span>}
    </p>
  );
}

export function Panel(props: {
  title: ComponentChildren;
  children: ComponentChildren;
  aside?: ComponentChildren;
  class?: string;
  id?: string;
}) {
  return (
    <section class={`panel ${props.class ?? ""}`} id={props.id}>
      <header>
        <h2>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  );
}

export function Head(props: { title: ComponentChildren; children?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  // A new page begins at its heading, for eyes and for screen readers alike.
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <div class="head">
      <h1 ref={heading} tabIndex={-1}>
        {props.title}
      </h1>
      {props.children}
    </div>
  );
}

/** With more columns than this a table is too wide for a telephone: its rows become blocks there. */
const NARROW = 3;

/** A table that can be scrolled sideways where it is too wide, also by keyboard. */
export function Table(props: { label: string; head: string[]; children: ComponentChildren; class?: string }) {
  const table = useRef<HTMLTableElement>(null);
  // In a block each cell says itself what it is.
  useLayoutEffect(() => {
    for (const row of table.current?.tBodies[0]?.rows ?? []) {
      [...row.cells].forEach((cell, at) => (cell.dataset["head"] = props.head[at] ?? ""));
    }
  });
  return (
    <div class="scroll" role="region" aria-label={props.label} tabIndex={0}>
      <table ref={table} class={props.class ?? (props.head.length > NARROW ? "stacked" : "")}>
        <thead>
          <tr>
            {props.head.map((cell, at) =>
              cell === "" ? (
                <td key={at} />
              ) : (
                <th key={at} scope="col">
                  {cell}
                </th>
              ),
            )}
          </tr>
        </thead>
        <tbody>{props.children}</tbody>
      </table>
    </div>
  );
}

/** The shape of a state: filled circle, triangle, diamond, square. */
export function Shape({ state, label }: { state: State | "info"; label?: string }) {
  const paths: Record<State | "info", JSX.Element> = {
    well: <circle cx="6" cy="6" r="4.5" />,
    slow: <path d="M6 1 11.4 10.6H.6Z" />,
    down: <path d="M6 .4 11.6 6 6 11.6.4 6Z" />,
    held: <path d="M1.5 1.5h9v9h-9Z" />,
    info: <circle cx="6" cy="6" r="4" class="hollow" />,
  };
  return (
    <svg class={`shape ${state}`} viewBox="0 0 12 12" role={label ? "img" : undefined} aria-label={label} aria-hidden={!label}>
      {paths[state]}
    </svg>
  );
}

export function StateWord({ state }: { state: State }) {
  return (
    <span class={`state ${state}`}>
      <Shape state={state} /> {t(`state.${state}`)}
    </span>
  );
}

export function Severity({ severity }: { severity: string }) {
  const state = severity === "CRITICAL" ? "down" : severity === "WARNING" ? "slow" : "info";
  return (
    <span class={`state ${state}`}>
      <Shape state={state} /> {said("severity", severity)}
    </span>
  );
}

export function Party({ code, long = true }: { code: string; long?: boolean }) {
  if (!code) return null;
  const text = (
    <>
      <b class="code">{code}</b>
      {long && <span class="name"> {country(code)}</span>}
    </>
  );
  if (!/^[A-Z]{2}$/.test(code)) return <span class="party">{text}</span>;
  return (
    <a class="party" href={to("country", code)} title={country(code)}>
      {text}
    </a>
  );
}

export function MessageId({ id }: { id: string }) {
  return (
    <a class="id" href={to("message", id)}>
      <bdi dir="ltr">{id}</bdi>
    </a>
  );
}

export function LaneWord({ lane }: { lane: string }) {
  return <span class={`lane ${lane.toLowerCase()}`}>{said("lane", lane)}</span>;
}

const DAY_MS = 86_400_000;

/** A time of day, with the day where that is not today; the whole moment where the pointer rests. All times are UTC. */
export function At({ ms, whole = false }: { ms: number; whole?: boolean }) {
  if (!ms) return <span class="quiet">–</span>;
  const today = Math.floor(ms / DAY_MS) === Math.floor(now() / DAY_MS);
  return (
    <time dateTime={new Date(ms).toISOString()} title={`${moment(ms)} UTC`}>
      {whole ? `${moment(ms)} UTC` : today ? clock(ms) : moment(ms)}
    </time>
  );
}

/** Facts by name. */
export function Facts({ facts }: { facts: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {facts
        .filter(([, value]) => value !== "" && value !== undefined && value !== null)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** Digits of a hash or key: whole for those who copy, short for those who read. */
export function Digits({ text }: { text: string }) {
  return (
    <code class="digits" dir="ltr" title={text}>
      {text}
    </code>
  );
}

export function Nothing({ children }: { children: ComponentChildren }) {
  return <p class="quiet nothing">{children}</p>;
}
