// Databases: how much they hold, what they are asked for and how fast, and where the hits stand.
import { useState } from "preact/hooks";
import { Curves } from "../plots";
import { At, Facts, Head, Nothing, Panel, Party, Shape, Shown, Table, useLookup } from "../ui";
import { count, duration, percent, rate, said, t } from "../words";

interface Databases {
  at_ms: number;
  since_ms: number;
  position: number;
  log_end: number;
  databases: Database[];
  refusals: { reason: string; count: number }[];
  search_p50_ms: number;
  search_p99_ms: number;
  askers: { party: string; asked: number; found: number }[];
  hits: { state: string; count: number }[];
  hits_overdue: number;
  copies: Copy[];
  copies_left_out: number;
  copies_old_after_ms: number;
  copies_refused_after_ms: number;
  minutes: { begins_ms: number; asked: number; found: number; p99_ms: number }[];
}

interface Database {
  database: string;
  records: number;
  asked: number;
  found: number;
  hits_open: number;
  look_up_p50_ms: number;
  look_up_p99_ms: number;
}

/** What a bureau or a post fetched last of a database. */
interface Copy {
  holder: string;
  party: string;
  database: string;
  base_version: number;
  supplement_version: number;
  as_of_ms: number;
  fetched_at_ms: number;
}

const HOUR_S = 3600;

export function DatabasesPage() {
  const [window_s, setWindow] = useState(HOUR_S);
  const looked = useLookup<Databases>("Databases", { window_s }, 2000);
  return (
    <>
      <Head title={t("page.databases")}>
        <label class="check">
          <input type="checkbox" checked={window_s === HOUR_S} onChange={(event) => setWindow(event.currentTarget.checked ? HOUR_S : 300)} /> {t("last_hour")}
        </label>
      </Head>
      <Shown looked={looked}>{(data) => <Shelves data={data} />}</Shown>
    </>
  );
}

function Shelves({ data }: { data: Databases }) {
  const seconds = Math.max(1, (data.at_ms - data.since_ms) / 1000);
  const asked = data.minutes.reduce((sum, minute) => sum + minute.asked, 0);
  const found = data.minutes.reduce((sum, minute) => sum + minute.found, 0);
  const behind = Math.max(0, data.log_end - data.position);
  return (
    <>
      <Panel title={t("now")}>
        <Facts
          facts={[
            [t("records"), count(data.databases.reduce((sum, one) => sum + one.records, 0))],
            [t("searched_per_second"), rate(asked / seconds)],
            [t("hit_ratio"), asked > 0 ? percent(found / asked) : "–"],
            [t("search_p50"), asked > 0 ? duration(data.search_p50_ms) : "–"],
            [t("search_p99"), asked > 0 ? duration(data.search_p99_ms) : "–"],
            [t("behind_log"), t("entries_n", { n: count(behind) })],
          ]}
        />
      </Panel>
      <Panel title={t("page.databases")} id="databases">
        <Table label={t("page.databases")} head={[t("database"), t("records"), t("searched"), t("searched_per_second"), t("found"), t("hit_ratio"), t("look_up_p50"), t("look_up_p99"), t("hits_open")]}>
          {data.databases.map((one) => (
            <Row key={one.database} one={one} seconds={seconds} />
          ))}
        </Table>
        <p class="quiet under">{t("look_up_help")}</p>
      </Panel>
      <div class="columns">
        <div class="stack">
          <Panel title={t("searched")}>
            {asked === 0 ? (
              <Nothing>{t("no_searches")}</Nothing>
            ) : (
              <Curves
                label={t("searched")}
                begins={t("ago", { time: duration(data.at_ms - data.since_ms) })}
                ends={t("now")}
                series={[
                  { name: t("searched"), values: data.minutes.map((minute) => minute.asked), class: "a" },
                  { name: t("found"), values: data.minutes.map((minute) => minute.found), class: "b" },
                ]}
              />
            )}
          </Panel>
        </div>
        <div class="stack">
          <Hits data={data} />
          {data.askers.length > 0 && (
            <Panel title={t("askers")}>
              <Table label={t("askers")} head={[t("country"), t("searched"), t("found")]}>
                {data.askers.map((one) => (
                  <tr key={one.party}>
                    <th scope="row">
                      <Party code={one.party} />
                    </th>
                    <td class="number">{count(one.asked)}</td>
                    <td class="number">{count(one.found)}</td>
                  </tr>
                ))}
              </Table>
            </Panel>
          )}
          {data.refusals.length > 0 && (
            <Panel title={t("searches_refused")}>
              <Facts facts={data.refusals.map((one) => [said("reason", one.reason), count(one.count)])} />
            </Panel>
          )}
        </div>
      </div>
      <Copies data={data} />
    </>
  );
}

function Row({ one, seconds }: { one: Database; seconds: number }) {
  const asked = (text: string) => (one.asked > 0 ? text : <span class="quiet">–</span>);
  return (
    <tr data-database={one.database}>
      <th scope="row">{said("database", one.database)}</th>
      <td class="number records">{count(one.records)}</td>
      <td class="number asked">{count(one.asked)}</td>
      <td class="number per-second">{asked(rate(one.asked / seconds))}</td>
      <td class="number found">{count(one.found)}</td>
      <td class="number">{asked(percent(one.found / one.asked))}</td>
      <td class="number p50">{asked(duration(one.look_up_p50_ms))}</td>
      <td class="number p99">{asked(duration(one.look_up_p99_ms))}</td>
      <td class="number">{one.hits_open > 0 ? count(one.hits_open) : <span class="quiet">0</span>}</td>
    </tr>
  );
}

/** What was fetched from here, the oldest first. */
function Copies({ data }: { data: Databases }) {
  return (
    <Panel title={t("copies")} id="copies" aside={data.copies.length > 0 && <span class="many">{count(data.copies.length + data.copies_left_out)}</span>}>
      {data.copies.length === 0 ? (
        <Nothing>{t("no_copies")}</Nothing>
      ) : (
        <Table label={t("copies")} head={[t("holder"), t("age"), t("database"), t("as_of"), t("version"), t("fetched")]}>
          {data.copies.map((one) => {
            const age = Math.max(0, data.at_ms - one.as_of_ms);
            const state = age > data.copies_refused_after_ms ? "down" : age > data.copies_old_after_ms ? "slow" : "well";
            return (
              <tr key={`${one.holder} ${one.database}`} data-copy={`${one.holder} ${one.database}`}>
                <th scope="row">
                  <Party code={one.party} /> {one.holder.includes("/post/") && <span class="tag" dir="ltr">{one.holder.split("/").at(-1)}</span>}
                </th>
                <td class={`age state ${state}`}>
                  <Shape state={state} label={t(`copy.${state}`)} /> {duration(age)}
                </td>
                <td>{said("database", one.database)}</td>
                <td class="as_of"><At ms={one.as_of_ms} whole /></td>
                <td class="number version"><bdi dir="ltr">{one.base_version} / {one.supplement_version}</bdi></td>
                <td class="fetched"><At ms={one.fetched_at_ms} whole /></td>
              </tr>
            );
          })}
        </Table>
      )}
      {data.copies_left_out > 0 && <p class="quiet under">{t("and_more", { n: count(data.copies_left_out) })}</p>}
    </Panel>
  );
}

function Hits({ data }: { data: Databases }) {
  return (
    <Panel title={t("hits")}>
      {data.hits.length === 0 ? <Nothing>{t("no_hits")}</Nothing> : <Facts facts={data.hits.map((one) => [said("hit", one.state), count(one.count)])} />}
      {data.hits_overdue > 0 && (
        <p class="under">
          <Shape state="slow" /> {t("hits_overdue")}: {count(data.hits_overdue)}
        </p>
      )}
    </Panel>
  );
}
