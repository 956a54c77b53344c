// Who may be on the network, and when their certificates end.
import { ascending, descending, rollup } from "d3-array";
import { scaleTime } from "d3-scale";
import { useState } from "preact/hooks";
import type { Certificate } from "../types";
import { At, Digits, Head, Nothing, Panel, Shape, Shown, StateWord, Table, useLookup } from "../ui";
import { count, day, duration, identity, said, t, type Word } from "../words";

interface Identity {
  identity: string;
  standing: string;
  since_ms: number;
  position: number;
  connected: boolean;
  certificates: Certificate[];
  void_keys: number;
  changes: number;
}

interface Identities {
  at_ms: number;
  identities: Identity[];
  authority?: Certificate;
}

const DAY_MS = 86_400_000;
/** Certificates that end within so many days; the rest end later. */
const STEPS: [number, Word][] = [[0, "ends.past"], [1, "ends.1"], [7, "ends.7"], [30, "ends.30"], [90, "ends.90"], [365, "ends.365"], [Infinity, "ends.later"]];
/** Rows on the page; the filter finds the others. */
const ROWS = 60;
/** Changes on the page, the newest. */
const CHANGES = 8;

export function IdentitiesPage() {
  const looked = useLookup<Identities>("Identities", {}, 15_000);
  return (
    <>
      <Head title={t("page.identities")} />
      <Shown looked={looked}>{(data) => <Identities data={data} />}</Shown>
    </>
  );
}

function Identities({ data }: { data: Identities }) {
  const [wanted, setWanted] = useState("");
  const [off, setOff] = useState(false);
  const fitting = data.identities.filter(
    (one) => identity(one.identity).toLowerCase().includes(wanted.toLowerCase()) && (!off || one.standing !== "ACTIVE"),
  );
  return (
    <>
      <Panel title={t("expiry")}>
        <Expiry data={data} />
      </Panel>
      <Changes identities={data.identities} />
      <Panel
        title={t("page.identities")} id="identities" aside={<span class="many">{count(fitting.length)}</span>}
      >
        <div class="controls">
          <label>
            {t("filter")}
            <input value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} dir="ltr" spellcheck={false} />
          </label>
          <label class="check">
            <input type="checkbox" checked={off} onChange={(event) => setOff(event.currentTarget.checked)} /> {t("only_off")}
          </label>
        </div>
        {fitting.length === 0 ? (
          <Nothing>{t("nothing_found")}</Nothing>
        ) : (
          <Table label={t("page.identities")} head={[t("identity"), t("stands"), t("link"), t("since"), t("ends"), t("key")]}>
            {fitting.slice(0, ROWS).map((one) => (
              <Row key={one.identity} one={one} now={data.at_ms} />
            ))}
          </Table>
        )}
        {fitting.length > ROWS && <p class="quiet nothing">{t("and_more", { n: count(fitting.length - ROWS) })}</p>}
      </Panel>
    </>
  );
}

function Row({ one, now }: { one: Identity; now: number }) {
  const ends = Math.min(...one.certificates.map((certificate) => certificate.not_after_ms));
  return (
    <tr>
      <th scope="row"><bdi dir="ltr">{identity(one.identity)}</bdi></th>
      <td>
        {one.standing === "ACTIVE" ? (
          said("standing", one.standing)
        ) : (
          <span class="state held">
            <Shape state="held" /> {said("standing", one.standing)}
          </span>
        )}
        {one.void_keys > 0 && <span class="quiet"> {t("void_keys", { n: count(one.void_keys) })}</span>}
      </td>
      <td>{/^ncb\/[a-z]{2}$/.test(identity(one.identity)) && one.standing === "ACTIVE" ? <StateWord state={one.connected ? "well" : "down"} /> : ""}</td>
      <td>
        <At ms={one.since_ms} whole />
      </td>
      <td>{Number.isFinite(ends) && <>{day(ends)} <span class="quiet">{duration(ends - now)}</span></>}</td>
      <td>{one.certificates[0] && <Digits text={one.certificates[0].key_id} />}</td>
    </tr>
  );
}

/** Who has several signing keys in force got the newer ones in place of the others. */
function changeOf(one: Identity): Word {
  if (one.certificates.filter(({ purpose }) => purpose === "signing").length > 1) return "change.renewed";
  return one.changes > 1 ? "change.again" : "change.admitted";
}

/** What the authority entered last: admissions, renewals, suspensions, revocations; and how many stand how. */
function Changes({ identities }: { identities: Identity[] }) {
  const newest = [...identities].sort((a, b) => descending(a.since_ms, b.since_ms) || descending(a.position, b.position)).slice(0, CHANGES);
  const standings = [...rollup(identities, (all) => all.length, (one) => one.standing)].sort(([a], [b]) => ascending(a, b));
  return (
    <Panel title={t("last_changes")} id="changes" aside={<span class="quiet">{standings.map(([standing, n]) => `${said("standing", standing)} ${count(n)}`).join(" · ")}</span>}>
      <Table label={t("last_changes")} head={[t("identity"), t("change"), t("since"), t("place")]}>
        {newest.map((one) => (
          <tr key={one.identity} data-change={one.identity}>
            <th scope="row"><bdi dir="ltr">{identity(one.identity)}</bdi></th>
            <td>
              {one.standing === "ACTIVE" ? (
                t(changeOf(one))
              ) : (
                <span class="state held">
                  <Shape state="held" /> {said("standing", one.standing)}
                </span>
              )}
            </td>
            <td>
              <At ms={one.since_ms} whole />
            </td>
            <td>{t("entry_n", { n: count(one.position) })}</td>
          </tr>
        ))}
      </Table>
    </Panel>
  );
}

/** How many certificates end when; each a line on the axis of time. */
function Expiry({ data }: { data: Identities }) {
  const certificates = data.identities.filter((one) => one.standing === "ACTIVE").flatMap((one) => one.certificates);
  const all = data.authority ? [...certificates, data.authority] : certificates;
  // The authority's own may end years later than the rest: it stands at the edge then.
  const last = Math.max(data.at_ms + DAY_MS, ...certificates.map((one) => one.not_after_ms));
  const x = scaleTime([data.at_ms, last], [0, 1000]).clamp(true);
  const sums = STEPS.map(([, word], at) => {
    const from = at === 0 ? -Infinity : (STEPS[at - 1]?.[0] ?? 0);
    const until = STEPS[at]?.[0] ?? Infinity;
    const ending = all.filter(({ not_after_ms }) => {
      const days = (not_after_ms - data.at_ms) / DAY_MS;
      return days > from && days <= until;
    });
    return { word, sum: ending.length };
  });
  return (
    <>
      <svg class="expiry" viewBox="0 0 1000 40" preserveAspectRatio="none" aria-hidden="true">
        <line class="axis" x1="0" x2="1000" y1="38" y2="38" />
        {all.map((one) => (
          <line key={one.purpose + one.key_id} class={one.purpose} x1={x(one.not_after_ms)} x2={x(one.not_after_ms)} y1={one.purpose === "authority" ? 2 : 12} y2="38" />
        ))}
      </svg>
      <p class="ends quiet">
        <span>{t("now")}</span>
        <span>{day(last)}</span>
      </p>
      <ul class="steps">
        {sums.map(({ word, sum }, at) => (
          <li key={word} class={at < 3 && sum > 0 ? "bad" : ""}>
            <b>{count(sum)}</b> <span class="quiet">{t(word)}</span> {at < 3 && sum > 0 && <Shape state={at === 0 ? "down" : "slow"} />}
          </li>
        ))}
      </ul>
    </>
  );
}
