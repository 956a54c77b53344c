// Messages by what their headers say: facets, a beginning of an id, saved views; page after page without an end.
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, CallError, type Failure } from "../api";
import { now } from "../live";
import { Parts } from "../plots";
import { go, place, to } from "../route";
import { views } from "../settings";
import { KINDS, LANES, type MessageRow } from "../types";
import { At, Failed, Head, LaneWord, MessageId, Nothing, Panel, Party, Shape, Table } from "../ui";
import { count, said, t, type Word } from "../words";

const STATES = [
  "UNDELIVERED", "DELIVERED", "REFUSED", "OVERDUE", "URGENT_NOT_OPENED", "WITHDRAWAL_NOT_ACKNOWLEDGED", "OPEN", "CLOSED", "EXPIRED",
];
const BUILT_IN: [Word, Record<string, string>][] = [
  ["view.all", {}],
  ["view.overdue", { state: "OVERDUE" }],
  ["view.urgent", { state: "URGENT_NOT_OPENED" }],
  ["view.withdrawal", { state: "WITHDRAWAL_NOT_ACKNOWLEDGED" }],
  ["view.undelivered", { state: "UNDELIVERED" }],
  ["view.refused", { state: "REFUSED" }],
];
const PAGE = 50;
/** Rows that stay on the page; who goes on from there has the next ones in their place. */
const KEPT = 1000;
const DAY_MS = 86_400_000;

interface Found {
  rows: MessageRow[];
  next: string;
  looked_down_to: number;
}

/** The request that an address stands for. */
function requestOf(query: URLSearchParams): Record<string, unknown> {
  const request: Record<string, unknown> = { limit: PAGE };
  const text = (name: string, field: string) => {
    const value = query.get(name);
    if (value) request[field] = value;
  };
  const list = (name: string, field: string) => {
    const value = query.get(name);
    if (value) request[field] = value.split(",").map((one) => one.trim().toUpperCase()).filter((one) => one !== "");
  };
  text("id", "id_prefix");
  text("conversation", "conversation");
  text("operation", "operation");
  text("state", "state");
  list("party", "parties");
  list("kind", "kinds");
  list("lane", "lanes");
  for (const way of ["from", "to"]) {
    const value = query.get(way);
    if (value) request[way] = value.toUpperCase();
  }
  const hours = Number(query.get("hours") ?? 0);
  if (hours > 0) request["from_ms"] = now() - hours * 3_600_000;
  const day = Date.parse(query.get("day") ?? "");
  if (!Number.isNaN(day)) Object.assign(request, { from_ms: day, until_ms: day + DAY_MS });
  return request;
}

export function MessagesPage() {
  const query = place.value.query;
  const key = query.toString();
  const [found, setFound] = useState<{ key: string; rows: MessageRow[]; next: string; failure?: Failure; busy: boolean }>();
  const abort = useRef<AbortController>(undefined);
  const look = async (before: MessageRow[], after: string) => {
    abort.current?.abort();
    const mine = new AbortController();
    abort.current = mine;
    setFound({ key, rows: before, next: after, busy: true });
    try {
      const request = requestOf(query);
      const rows = [...before];
      let next = after;
      // A page may be empty and still go on: the hub looks through a bounded part of the log for each.
      do {
        const page = await ask<Found>("FindMessages", next ? { ...request, after: next } : request, mine.signal);
        rows.push(...page.rows);
        next = page.next;
      } while (next && rows.length < before.length + PAGE && !mine.signal.aborted);
      setFound({ key, rows, next, busy: false });
    } catch (error) {
      if (mine.signal.aborted) return;
      const failure = error instanceof CallError ? error.failure : { error: "hub_failed" };
      setFound({ key, rows: before, next: after, failure, busy: false });
    }
  };
  useEffect(() => {
    void look([], "");
    return () => abort.current?.abort();
  }, [key]);
  const rows = found?.key === key ? found.rows : [];
  return (
    <>
      <Head title={t("page.messages")} />
      <Views query={query} />
      <Facets query={query} />
      <Panel title={t("found")} aside={<span class={found?.busy ? "quiet loading" : "quiet"}>{found?.busy ? t("loading") : t("n_messages", { n: count(rows.length) })}{found?.next ? "+" : ""}</span>}>
        {found?.failure && <Failed failure={found.failure} />}
        {rows.length === 0 && found && !found.busy && !found.failure && <Nothing>{t("nothing_found")}</Nothing>}
        {rows.length > 0 && <Rows rows={rows} />}
        {found?.next && (
          <p class="more">
            <button type="button" disabled={found.busy} onClick={() => void look(rows.length < KEPT ? rows : [], found.next)}>
              {t("more")}
            </button>
          </p>
        )}
      </Panel>
    </>
  );
}

export function Rows({ rows }: { rows: MessageRow[] }) {
  return (
    <Table class="messages" label={t("page.messages")} head={[t("message"), t("kind"), t("from"), t("to"), t("lane"), t("accepted_at"), t("receipts")]}>
      {rows.map((row) => (
        <tr key={`${row.position} ${row.id}`}>
          <th scope="row">
            <MessageId id={row.id} />
          </th>
          <td>{said("kind", row.kind)}</td>
          <td>
            <Party code={row.from} long={false} />
          </td>
          <td class="to">
            {row.to.slice(0, 4).map((code) => (
              <Party key={code} code={code} long={false} />
            ))}
            {row.recipients > Math.min(4, row.to.length) && <span class="quiet">+{count(row.recipients - Math.min(4, row.to.length))}</span>}
          </td>
          <td>
            <LaneWord lane={row.lane} />
          </td>
          <td>
            <At ms={row.accepted_at_ms} />
          </td>
          <td class="receipts">
            {row.refused ? (
              <span class="state down">
                <Shape state="down" /> {said("reason", row.refused)}
              </span>
            ) : (
              <Receipts row={row} />
            )}
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Receipts({ row }: { row: MessageRow }) {
  const parts = [
    { name: said("recipient", "ACTIONED"), value: row.actioned, class: "actioned" },
    { name: said("recipient", "OPENED"), value: row.opened, class: "opened" },
    { name: said("recipient", "DELIVERED"), value: row.delivered, class: "delivered" },
    { name: said("recipient", "QUEUED"), value: row.queued, class: "queued" },
    { name: t("ended"), value: row.ended, class: "ended" },
  ];
  const has = row.delivered + row.opened + row.actioned;
  return (
    <>
      <Parts label={t("receipts")} parts={parts} />
      <span class="quiet">{t("n_of_m", { n: count(has), m: count(row.recipients) })}</span>{" "}
      {row.answers_overdue > 0 && (
        <span class="state slow">
          <Shape state="slow" /> {t("overdue_n", { n: count(row.answers_overdue) })}
        </span>
      )}
    </>
  );
}

function Views({ query }: { query: URLSearchParams }) {
  const key = query.toString();
  const same = (other: Record<string, string>) => new URLSearchParams(other).toString() === key;
  const save = () => {
    const name = prompt(t("view_name"))?.trim().slice(0, 40);
    if (name) views.value = [...views.value.filter((view) => view.name !== name), { name, query: key }].slice(-20);
  };
  return (
    <nav class="views" aria-label={t("views")}>
      {BUILT_IN.map(([word, view]) => (
        <a key={word} href={to("messages", "", view)} aria-current={same(view) ? "true" : undefined}>
          {t(word)}
        </a>
      ))}
      {views.value.map((view) => (
        <span key={view.name} class="own">
          <a href={`#/messages?${view.query}`} aria-current={view.query === key ? "true" : undefined}>
            {view.name}
          </a>
          <button type="button" aria-label={t("forget", { name: view.name })} onClick={() => { views.value = views.value.filter((other) => other !== view); }}>×</button>
        </span>
      ))}
      {key !== "" && !BUILT_IN.some(([, view]) => same(view)) && (
        <button type="button" onClick={save}>
          {t("save_view")}
        </button>
      )}
    </nav>
  );
}

function Facets({ query }: { query: URLSearchParams }) {
  const submit = (event: Event) => {
    event.preventDefault();
    const asked = Object.fromEntries([...new FormData(event.currentTarget as HTMLFormElement)].map(([name, value]) => [name, String(value).trim()]));
    go(to("messages", "", asked));
  };
  const choice = (name: string, label: string, group: string, values: readonly string[]) => (
    <label>
      {label}
      <select name={name} value={query.get(name) ?? ""} onChange={(event) => event.currentTarget.form?.requestSubmit()}>
        <option value="">{t("any")}</option>
        {values.map((value) => (
          <option key={value} value={value}>
            {said(group, value)}
          </option>
        ))}
      </select>
    </label>
  );
  const text = (name: string, label: string, size: number) => (
    <label>
      {label}
      <input name={name} value={query.get(name) ?? ""} size={size} autocomplete="off" spellcheck={false} dir="ltr" />
    </label>
  );
  return (
    <form class="facets" key={query.toString()} onSubmit={submit}>
      {text("id", t("id_begins"), 11)}
      {choice("state", t("stands"), "message_state", STATES)}
      {choice("kind", t("kind"), "kind", KINDS)}
      {choice("lane", t("lane"), "lane", LANES)}
      {text("party", t("country"), 4)}
      {text("from", t("from"), 3)}
      {text("to", t("to"), 3)}
      {text("operation", t("operation"), 11)}
      <label>
        {t("accepted_at")}
        <select name="hours" value={query.get("hours") ?? ""} onChange={(event) => event.currentTarget.form?.requestSubmit()}>
          <option value="">{t("any_time")}</option>
          {[1, 24, 168, 720].map((hours) => (
            <option key={hours} value={hours}>
              {t(`last.${hours}` as Word)}
            </option>
          ))}
        </select>
      </label>
      <label>
        {t("day")}
        <input name="day" type="date" value={query.get("day") ?? ""} onChange={(event) => event.currentTarget.form?.requestSubmit()} />
      </label>
      {text("conversation", t("conversation"), 11)}
      <button class="primary" type="submit">
        {t("find")}
      </button>
    </form>
  );
}
