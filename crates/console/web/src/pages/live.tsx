// The landing page: the network as it is now, or as it was in the last hour.
import { useEffect } from "preact/hooks";
import { consoleLost, hubLost, live, past, playOn, recent, replayed, type Scene } from "../live";
import { members, needMembers } from "../members";
import { Picture } from "../picture/picture";
import { Scrubber } from "../picture/scrubber";
import { to } from "../route";
import { stateOf, waiting, worse } from "../state";
import type { FlowNumbers, TapEvent } from "../types";
import { At, LaneWord, MessageId, Nothing, Panel, Party, Shape, StateWord } from "../ui";
import { count, duration, rate, said, t } from "../words";

export function LivePage() {
  useEffect(needMembers, []);
  const scene = past.value ? replayed : live;
  const lost = !past.value && (consoleLost.value || Boolean(hubLost.value));
  return (
    <div class="live">
      <h1 class="unseen">{t("page.live")}</h1>
      <Numbers scene={scene} lost={lost} />
      <div class="stage">
        <Picture scene={scene} members={members.value} lost={lost} onFrame={playOn} />
        <Scrubber />
        <Legend />
      </div>
      <aside>
        <Attention scene={scene} />
        <Recent events={recent.value} />
      </aside>
    </div>
  );
}

/** Six numbers that matter. */
function Numbers({ scene, lost }: { scene: Scene; lost: boolean }) {
  const numbers = scene.numbers.value;
  const now = scene.second.value;
  const told: [string, string, string, string, boolean, string?][] = [
    ["accepted", t("number.accepted"), numbers ? rate(numbers.accepted_per_second) : "–", t("per_second"), false],
    ["delivered", t("number.delivered"), numbers ? rate(numbers.delivered_per_second) : "–", t("per_second"), false],
    ["p99", t("number.p99"), numbers ? (numbers.delivery_p99_ms > 0 ? duration(numbers.delivery_p99_ms) : "–") : "–", "", false],
    ["oldest", t("number.oldest"), oldest(numbers, now), "", numbers !== null && waits(numbers, now) > 10_000],
    ["behind", t("behind_log"), numbers ? count(numbers.behind_log) : "–", t("entries"), false, t("behind_log_hint")],
    ["pq", t("number.pq"), numbers ? count(numbers.links_not_post_quantum) : "–", t("links"), (numbers?.links_not_post_quantum ?? 0) > 0],
  ];
  return (
    <dl class={`numbers${lost ? " lost" : ""}`}>
      {told.map(([key, name, value, unit, bad, hint]) => (
        <div key={key} data-number={key} class={bad ? "bad" : ""} title={hint}>
          <dt>{name}</dt>
          <dd>
            {bad && <Shape state="slow" />} <b>{value}</b> <span class="quiet">{unit}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function waits(numbers: FlowNumbers, now: number): number {
  return numbers.oldest_accepted_at_ms > 0 ? Math.max(0, now - numbers.oldest_accepted_at_ms) : 0;
}

function oldest(numbers: FlowNumbers | null, now: number): string {
  if (!numbers) return "–";
  return numbers.oldest_accepted_at_ms > 0 ? duration(waits(numbers, now)) : t("none_waits");
}

/** At most so many bureaus are listed; the picture shows the others. */
const LISTED = 8;

function Attention({ scene }: { scene: Scene }) {
  const now = scene.second.value;
  const alerts = scene.numbers.value?.alerts ?? 0;
  const shut = scene.numbers.value?.writable === false;
  const all = [...scene.countries.value.values()].map((country) => ({ country, state: stateOf(country, now) }));
  const bad = all
    .filter(({ state }) => state !== "well")
    .sort((a, b) => worse(a.state, b.state) || waiting(b.country) - waiting(a.country));
  return (
    <Panel title={t("attention")} class="attention" aside={bad.length > 0 && <span class="many">{count(bad.length)}</span>}>
      {shut && (
        <p class="failed">
          <Shape state="down" /> {t("hub_takes_nothing")} <a href={to("alerts")}>{t("page.alerts")}</a>
        </p>
      )}
      {all.length > 0 && bad.length === 0 && !shut && (
        <Nothing>
          <Shape state="well" /> {t("all_well")}
        </Nothing>
      )}
      <ul class="rows">
        {bad.slice(0, LISTED).map(({ country, state }) => (
          <li key={country.party}>
            <Party code={country.party} />
            <StateWord state={state} />
            {waiting(country) > 0 && <span class="quiet">{t("waiting_n", { n: count(waiting(country)) })}</span>}
          </li>
        ))}
      </ul>
      {bad.length > LISTED && <p class="quiet nothing">{t("and_more", { n: count(bad.length - LISTED) })}</p>}
      {alerts > 0 && (
        <p class="under">
          <Shape state="slow" /> <a href={to("alerts")}>{t("page.alerts")}: {count(alerts)}</a>
        </p>
      )}
    </Panel>
  );
}

const SHOWN = 12;

function Recent({ events }: { events: TapEvent[] }) {
  return (
    <Panel title={t("recent")} class="recent" aside={<a href={to("messages")}>{t("all")}</a>}>
      {events.length === 0 && <Nothing>{t("nothing_yet")}</Nothing>}
      <ol class="rows">
        {events.slice(0, SHOWN).map((event) => (
          <li key={`${event.id} ${event.event}`} class={event.event}>
            <span class="line">
              <MessageId id={event.id} />
              <At ms={event.at_ms} />
            </span>
            <span class="line">
              <span>
                {said("kind", event.kind)}{" "}
                {event.event === "refused" ? (
                  <span class="state down">
                    <Shape state="down" /> {said("reason", event.reason)}
                  </span>
                ) : (
                  <span class="quiet">{t("to_n", { n: count(event.recipients) })}</span>
                )}
              </span>
              <LaneWord lane={event.lane} />
            </span>
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function Legend() {
  return (
    <ul class="legend" aria-label={t("legend")}>
      {(["well", "slow", "down", "held"] as const).map((state) => (
        <li key={state}>
          <StateWord state={state} />
        </li>
      ))}
      <li>
        <i class="bar-sign" /> {t("queue")}
      </li>
      {(["very_urgent", "urgent", "normal", "bulk"] as const).map((lane) => (
        <li key={lane}>
          <LaneWord lane={lane} />
        </li>
      ))}
    </ul>
  );
}
