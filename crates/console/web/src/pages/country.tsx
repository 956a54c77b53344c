// One bureau: what waits for it and how long that takes, its link, how it answers, its certificates.
import { Curves, Parts } from "../plots";
import { to } from "../route";
import { stateOf } from "../state";
import type { Country, MessageRow } from "../types";
import { At, Facts, Head, LaneWord, MessageId, Nothing, Panel, Shape, Shown, StateWord, Table, useLookup } from "../ui";
import { country, count, day, duration, identity, percent, rate, said, t } from "../words";
import { AlertList } from "./alerts";
import { Rows } from "./messages";

export function CountryPage({ code }: { code: string }) {
  const looked = useLookup<Country>("Country", { country: code }, 3000);
  const found = useLookup<{ rows: MessageRow[] }>("FindMessages", { parties: [code], limit: 12 }, 5000);
  return (
    <article class="country">
      <Head title={<>{country(code)} <span class="code quiet">{code}</span></>}>
        {looked.data?.flow && (
          <p class="under">
            <StateWord state={stateOf(looked.data.flow, looked.data.at_ms)} /> <span class="quiet">{said("region", looked.data.region)}</span>{" "}
            {looked.data.flow.standing !== "ACTIVE" && <span class="tag">{said("standing", looked.data.flow.standing)}</span>}
          </p>
        )}
      </Head>
      <Shown looked={looked}>{(data) => <Bureau data={data} />}</Shown>
      <Panel title={t("newest")} aside={<a href={to("messages", "", { party: code })}>{t("all")}</a>}>
        <Shown looked={found}>
          {(page) => (page.rows.length === 0 ? <Nothing>{t("nothing_yet")}</Nothing> : <Rows rows={page.rows} />)}
        </Shown>
      </Panel>
    </article>
  );
}

function Bureau({ data }: { data: Country }) {
  return (
    <>
      {data.alerts.length > 0 && (
        <Panel title={t("page.alerts")}>
          <AlertList alerts={data.alerts} now={data.at_ms} />
        </Panel>
      )}
      <div class="columns">
        <div class="stack">
          <Queues data={data} />
          <Panel title={t("traffic")}>
            <Curves
              label={t("traffic")} begins={t("ago", { time: duration(data.sent_per_minute.length * 60_000) })} ends={t("now")}
              series={[
                { name: t("sent"), values: data.sent_per_minute, class: "a" },
                { name: t("received"), values: data.received_per_minute, class: "b" },
              ]}
            />
          </Panel>
        </div>
        <div class="stack">
          <Link data={data} />
          <Replies data={data} />
        </div>
      </div>
      <div class="columns">
        <Certificates data={data} />
        {data.posts.length > 0 && (
          <Panel title={t("posts")}>
            <ul class="rows">
              {data.posts.map((post) => (
                <li key={post.identity}>
                  <bdi dir="ltr">{identity(post.identity)}</bdi>
                  <StateWord state={post.standing !== "ACTIVE" ? "held" : post.connected ? "well" : "down"} />
                </li>
              ))}
            </ul>
          </Panel>
        )}
      </div>
    </>
  );
}

function Queues({ data }: { data: Country }) {
  return (
    <Panel title={t("queues")} id="queues">
      <Table label={t("queues")} head={[t("lane"), t("waits"), t("under_way"), t("oldest"), t("per_second"), t("drain")]}>
        {data.lanes.map((lane) => (
          <tr key={lane.lane} data-lane={lane.lane}>
            <th scope="row">
              <LaneWord lane={lane.lane} />
            </th>
            <td class="number waits">{count(lane.queued)}</td>
            <td class="number">{count(lane.under_way)}</td>
            <td>{lane.oldest_id ? <><MessageId id={lane.oldest_id} /> <span class="quiet">{duration(data.at_ms - lane.oldest_accepted_at_ms)}</span></> : <span class="quiet">–</span>}</td>
            <td class="number">{rate(lane.delivered_per_second)}</td>
            <td class="number">{drain(lane.queued, lane.drain_ms)}</td>
          </tr>
        ))}
      </Table>
    </Panel>
  );
}

function drain(queued: number, ms: number | undefined) {
  if (queued === 0) return <span class="quiet">{t("empty")}</span>;
  if (ms === undefined) {
    return (
      <span class="state down">
        <Shape state="down" /> {t("stands_still")}
      </span>
    );
  }
  return duration(ms);
}

function Link({ data }: { data: Country }) {
  const link = data.link;
  return (
    <Panel title={t("link")} id="link">
      {!link || link.since_ms === 0 ? (
        <Nothing>{t("never_connected")}</Nothing>
      ) : (
        <Facts
          facts={[
            [link.connected ? t("connected_since") : t("ended_at"), <At ms={link.since_ms} whole />],
            [t("last_contact"), link.last_contact_at_ms ? t("ago", { time: duration(Math.max(0, data.at_ms - link.last_contact_at_ms)) }) : ""],
            [t("credit"), count(link.credit)],
            [t("skew"), link.clock_skew_ms === undefined ? "" : skew(link.clock_skew_ms)],
            [t("program"), <bdi dir="ltr">{link.program}</bdi>],
            [t("address"), <bdi dir="ltr">{link.address}</bdi>],
            ["TLS", link.tls_group && (
              <>
                <bdi dir="ltr">{link.tls_version} · {link.tls_group}</bdi>{" "}
                <span class={`state ${link.post_quantum ? "well" : "slow"}`}>
                  <Shape state={link.post_quantum ? "well" : "slow"} /> {link.post_quantum ? t("pq") : t("not_pq")}
                </span>
              </>
            )],
          ]}
        />
      )}
    </Panel>
  );
}

function skew(ms: number) {
  const much = Math.abs(ms) > 2000;
  return (
    <span class={much ? "state slow" : ""}>
      {much && <Shape state="slow" />} <bdi dir="ltr">{ms > 0 ? "+" : ""}{duration(ms)}</bdi>
    </span>
  );
}

function Replies({ data }: { data: Country }) {
  const replies = data.replies;
  if (!replies) return null;
  const late = replies.answered - replies.in_time;
  return (
    <Panel title={t("replies")} id="replies">
      {replies.answered > 0 && (
        <div class="progress">
          <Parts label={t("replies")} parts={[{ name: t("in_time"), value: replies.in_time, class: "actioned" }, { name: t("late"), value: late, class: "late" }]} />
        </div>
      )}
      <Facts
        facts={[
          [t("answered"), count(replies.answered)],
          [t("in_time"), replies.answered > 0 ? percent(replies.in_time / replies.answered) : ""],
          [t("median"), replies.answered > 0 ? duration(replies.median_ms) : ""],
          ["p90", replies.answered > 0 ? duration(replies.p90_ms) : ""],
          [t("owed"), count(replies.owed)],
          [t("overdue"), replies.overdue > 0 ? <span class="state slow"><Shape state="slow" /> {count(replies.overdue)}</span> : count(0)],
        ]}
      />
      {data.overdue.length > 0 && (
        <ul class="rows">
          {data.overdue.slice(0, 10).map((one) => (
            <li key={one.request_id + one.to}>
              <MessageId id={one.request_id} />
              <span class="quiet">{t("due_ago", { time: duration(data.at_ms - one.reply_by_ms) })} · {said("answer", one.state)}</span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Certificates({ data }: { data: Country }) {
  return (
    <Panel title={t("certificates")} id="certificates">
      <ul class="certificates">
        {data.certificates.map((certificate) => {
          const whole = certificate.not_after_ms - certificate.not_before_ms;
          const used = Math.min(1, Math.max(0, (data.at_ms - certificate.not_before_ms) / Math.max(1, whole)));
          const soon = used > 0.75;
          return (
            <li key={certificate.purpose + certificate.key_id}>
              <p>
                <b>{said("purpose", certificate.purpose)}</b> <bdi class="quiet" dir="ltr">{identity(certificate.identity)}</bdi>
              </p>
              <Parts label={t("used")} parts={[{ name: t("used"), value: used, class: soon ? "late" : "delivered" }, { name: t("left"), value: 1 - used, class: "rest" }]} />
              <p class="quiet">
                {soon && <Shape state="slow" />} {t("until", { day: day(certificate.not_after_ms) })} · {duration(certificate.not_after_ms - data.at_ms)}
              </p>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}
