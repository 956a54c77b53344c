// What one operation put on the network and asked the databases, counted by the hub from its log, its journal of searches
// and its register of hits.
import { go, to } from "../route";
import { Parts } from "../plots";
import { RecordedOperations } from "./recorded";
import { At, Facts, Head, Nothing, Panel, Party, Shown, Table, useLookup } from "../ui";
import { count, duration, said, t } from "../words";

interface Tally {
  kinds: { kind: string; accepted: number; refused: number; deliveries: number; delivered: number }[];
  countries: { country: string; owed: number; answered: number; undelivered: number }[];
  participants: number;
  seats: number;
  delivery_p50_ms: number;
  delivery_p99_ms: number;
  first_accepted_at_ms: number;
  last_accepted_at_ms: number;
  reminders: number;
  escalations: number;
  cases: number;
  cases_located: number;
  /** None while the journal of searches is being read. */
  searches?: Searches | null;
}

interface Count {
  frames: number;
  keys: number;
  refused: number;
  matches: number;
  possible: number;
  offline: number;
}

interface Searches {
  count: Count;
  first_asked_at_ms: number;
  last_asked_at_ms: number;
  since_ms: number;
  stations: number;
  more_stations: boolean;
  most: { party: string; station: string; post: boolean; count: Count }[];
  hits: { hits: number; confirmed: number; denied: number; stale: number; undecided: number; acted: number; located: number };
}

/** The operation that the program brings along. */
const KNOWN = "infra-red-2010";

export function OperationsPage({ name }: { name: string }) {
  const shown = name || KNOWN;
  const looked = useLookup<Tally>("OperationTally", { operation: shown }, 5000);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget as HTMLFormElement).get("operation") ?? "").trim();
    if (text) go(to("operations", text));
  };
  return (
    <>
      <Head title={t("page.operations")}>
        <form class="controls" onSubmit={submit}>
          <label>
            {t("operation")}
            <input name="operation" key={shown} defaultValue={shown} dir="ltr" spellcheck={false} autocomplete="off" />
          </label>
          <button type="submit">{t("show")}</button>
        </form>
      </Head>
      {!name && <RecordedOperations />}
      <Shown looked={looked}>{(tally) => <Operation name={shown} tally={tally} />}</Shown>
    </>
  );
}

function Operation({ name, tally }: { name: string; tally: Tally }) {
  const asked = (tally.searches?.count.frames ?? 0) > 0;
  if (tally.kinds.length === 0 && !asked) return <Nothing>{t("no_operation", { name })}</Nothing>;
  return (
    <>
      {tally.kinds.length > 0 && <OnTheNetwork name={name} tally={tally} />}
      {tally.searches ? asked && <Asked name={name} searches={tally.searches} /> : <Nothing>{t("searches_being_read")}</Nothing>}
    </>
  );
}

function OnTheNetwork({ name, tally }: { name: string; tally: Tally }) {
  const cases: [string, preact.ComponentChildren][] = tally.cases > 0 ? [[t("cases"), count(tally.cases)], [t("cases_located"), count(tally.cases_located)]] : [];
  return (
    <>
      <Panel title={<bdi dir="ltr">{name}</bdi>} aside={<a href={to("messages", "", { operation: name })}>{t("messages")}</a>}>
        <Facts
          facts={[
            [t("participants"), count(tally.participants)],
            [t("seats"), tally.seats > 0 ? count(tally.seats) : ""],
            ...cases,
            [t("began"), <At ms={tally.first_accepted_at_ms} whole />],
            [t("last_message"), <At ms={tally.last_accepted_at_ms} whole />],
            [t("delivery_p50"), duration(tally.delivery_p50_ms)],
            [t("delivery_p99"), duration(tally.delivery_p99_ms)],
            [t("reminders"), count(tally.reminders)],
            [t("escalations"), count(tally.escalations)],
          ]}
        />
      </Panel>
      <div class="columns">
        <Panel title={t("by_kind")}>
          <Table label={t("by_kind")} head={[t("kind"), t("accepted"), t("refused"), t("delivered"), ""]}>
            {tally.kinds.map((kind) => (
              <tr key={kind.kind} data-kind={kind.kind}>
                <th scope="row">{said("kind", kind.kind)}</th>
                <td class="number accepted">{count(kind.accepted)}</td>
                <td class="number">{kind.refused > 0 ? count(kind.refused) : <span class="quiet">0</span>}</td>
                <td class="number">{t("n_of_m", { n: count(kind.delivered), m: count(kind.deliveries) })}</td>
                <td class="receipts"><Parts label={t("delivered")} parts={[{ name: t("delivered"), value: kind.delivered, class: "actioned" }, { name: t("waits"), value: kind.deliveries - kind.delivered, class: "queued" }]} /></td>
              </tr>
            ))}
          </Table>
        </Panel>
        <Panel title={t("by_country")}>
          <Table label={t("by_country")} head={[t("country"), t("answered"), "", t("waits")]}>
            {tally.countries.map((one) => (
              <tr key={one.country}>
                <th scope="row">
                  <Party code={one.country} />
                </th>
                <td class="number">{one.owed > 0 ? t("n_of_m", { n: count(one.answered), m: count(one.owed) }) : <span class="quiet">–</span>}</td>
                <td class="receipts"><Parts label={t("answered")} parts={[{ name: t("answered"), value: one.answered, class: "actioned" }, { name: t("owed"), value: one.owed - one.answered, class: "queued" }]} /></td>
                <td class="number">{one.undelivered > 0 ? count(one.undelivered) : <span class="quiet">0</span>}</td>
              </tr>
            ))}
          </Table>
        </Panel>
      </div>
    </>
  );
}

/** What was asked of the databases, and what became of it. */
function Asked({ name, searches }: { name: string; searches: Searches }) {
  const { count: asked, hits } = searches;
  return (
    <div class="stack" id="searches">
      <Panel title={t("searches_of", { name })}>
        <Facts
          facts={[
            [t("searched"), <span data-count="keys">{count(asked.keys)}</span>],
            [t("matches"), <span data-count="matches">{count(asked.matches)}</span>],
            [t("possible_only"), count(asked.possible)],
            [t("keys_refused"), count(asked.refused)],
            [t("asked_offline"), count(asked.offline)],
            [t("hits"), <span data-count="hits">{count(hits.hits)}</span>],
            [t("hit_confirmed"), <span data-count="confirmed">{count(hits.confirmed)}</span>],
            [t("hit_denied"), count(hits.denied)],
            [t("hit_stale"), count(hits.stale)],
            [t("undecided"), count(hits.undecided)],
            [t("acted"), count(hits.acted)],
            [t("located"), <span data-count="located">{count(hits.located)}</span>],
            [t("first_search"), <At ms={searches.first_asked_at_ms} whole />],
            [t("last_search"), <At ms={searches.last_asked_at_ms} whole />],
            ...(searches.since_ms > 0 ? [[t("counted_since"), <At ms={searches.since_ms} whole />] as [string, preact.ComponentChildren]] : []),
          ]}
        />
      </Panel>
      <Panel title={t("by_station")} aside={<span class="quiet">{t(searches.more_stations ? "more_than_n" : "n_stations", { n: count(searches.stations) })}</span>}>
        <Table label={t("by_station")} head={[t("country"), t("station"), t("searched"), t("matches")]}>
          {searches.most.map((one) => (
            <tr key={`${one.party} ${one.post} ${one.station}`} data-station={one.station}>
              <th scope="row">
                <Party code={one.party} />
              </th>
              <td dir="ltr">{one.station}</td>
              <td class="number asked">{count(one.count.keys)}</td>
              <td class="number">{one.count.matches > 0 ? count(one.count.matches) : <span class="quiet">0</span>}</td>
            </tr>
          ))}
        </Table>
      </Panel>
    </div>
  );
}
