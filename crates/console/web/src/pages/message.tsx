// One message: what became of it, who receives it and why, who signed it, where it stands in the log. Never its body.
import { ascending } from "d3-array";
import { Parts } from "../plots";
import { to } from "../route";
import type { Certificate, Trace } from "../types";
import { At, Digits, Facts, Head, LaneWord, MessageId, Nothing, Panel, Party, Shape, Shown, Table, useLookup } from "../ui";
import { Waterfall } from "./waterfall";
import { bytes, count, country, day, duration, identity, said, t } from "../words";

export function MessagePage({ id }: { id: string }) {
  const looked = useLookup<Trace>("Trace", { id }, 3000);
  return (
    <article class="message">
      <Shown looked={looked}>{(trace) => <Message trace={trace} />}</Shown>
    </article>
  );
}

function Message({ trace }: { trace: Trace }) {
  const id = trace.status?.id ?? "";
  return (
    <>
      <Head title={<bdi dir="ltr" class="id">{id}</bdi>}>
        <p class="under">
          <b>{said("kind", trace.kind)}</b> · <Party code={trace.sender.split("/")[0] ?? ""} /> · <LaneWord lane={trace.lane} />{" "}
          {trace.status?.closed ? <span class="tag">{t("closed")}</span> : <span class="tag open">{t("open")}</span>}
        </p>
      </Head>
      {trace.refusal && (
        <p class="failed" role="alert">
          <Shape state="down" /> {t("refused_because", { reason: said("reason", trace.refusal.reason) })} <span class="quiet" lang="en"><bdi>{trace.refusal.fields.join(", ")} {trace.refusal.next_step}</bdi></span>
        </p>
      )}
      <Progress trace={trace} />
      <Waterfall trace={trace} />
      <div class="columns">
        <div class="stack">
          <Timeline trace={trace} />
          <Header trace={trace} />
        </div>
        <div class="stack">
          <Signature trace={trace} />
          <PlaceInLog trace={trace} />
        </div>
      </div>
      <Recipients trace={trace} />
    </>
  );
}

const STATES = ["QUEUED", "HELD", "DELIVERED", "OPENED", "ACTIONED", "WITHDRAWN", "EXPIRED", "REFUSED"];

/** How many recipients stand how. */
function Progress({ trace }: { trace: Trace }) {
  const recipients = trace.status?.recipients ?? [];
  if (recipients.length === 0) return null;
  const parts = STATES.map((state) => ({
    name: said("recipient", state),
    value: recipients.filter((one) => one.state === state).length,
    class: state.toLowerCase(),
  })).filter((part) => part.value > 0);
  return (
    <div class="progress">
      <Parts label={t("recipients")} parts={parts} />
      <p>
        {parts.map((part) => (
          <span key={part.name} class={`key ${part.class}`}>
            <i /> {part.name} <b>{count(part.value)}</b>
          </span>
        ))}
      </p>
    </div>
  );
}

/** Events of one sort at many recipients are one line: first, last, how many. */
function Timeline({ trace }: { trace: Trace }) {
  const groups = new Map<string, Trace["events"]>();
  for (const event of trace.events) {
    const group = groups.get(event.event);
    if (group) group.push(event);
    else groups.set(event.event, [event]);
  }
  const accepted = trace.events.find((event) => event.event === "accepted" || event.event === "refused");
  const lines = [...groups].map(([name, events]) => ({
    name,
    events: [...events].sort((a, b) => ascending(a.at_ms, b.at_ms)),
  })).sort((a, b) => ascending(a.events[0]?.at_ms ?? 0, b.events[0]?.at_ms ?? 0) || ascending(order(a.name), order(b.name)));
  return (
    <Panel title={t("timeline")} id="timeline">
      <ol class="timeline">
        {lines.map(({ name, events }) => {
          const first = events[0];
          const last = events.at(-1);
          if (!first || !last) return null;
          const after = accepted && first.at_ms > accepted.at_ms ? duration(first.at_ms - accepted.at_ms) : "";
          return (
            <li key={name} class={name}>
              <p>
                <b>{said("event", name)}</b> {events.length > 1 && <span class="many">{count(events.length)}</span>} {events.length === 1 && name !== "accepted" && <Party code={first.party.split("/")[0] ?? ""} />}
              </p>
              <p class="quiet">
                <At ms={first.at_ms} /> {events.length > 1 && last.at_ms > first.at_ms && <>– <At ms={last.at_ms} /></>} {after && <>· {t("after", { time: after })}</>} {first.position > 0 && <>· {t("entry_n", { n: count(first.position) })}</>}
              </p>
            </li>
          );
        })}
      </ol>
    </Panel>
  );
}

const ORDER = ["signed", "accepted", "refused", "queued", "delivered", "opened", "actioned"];

function order(event: string): number {
  const at = ORDER.indexOf(event);
  return at < 0 ? ORDER.length : at;
}

function Signature({ trace }: { trace: Trace }) {
  const signature = trace.signature;
  if (!signature) return null;
  return (
    <Panel
      title={t("signature")} id="signature"
      aside={<span class={`state ${signature.holds ? "well" : "down"}`}><Shape state={signature.holds ? "well" : "down"} /> {signature.holds ? t("holds") : t("holds_not")}</span>}
    >
      <Facts
        facts={[
          [t("algorithm"), signature.algorithm],
          [t("signed_at"), <At ms={signature.signed_at_ms} whole />],
          [t("key"), <Digits text={signature.key_id} />],
          [t("burst"), signature.count > 1 ? t("n_of_m", { n: signature.index + 1, m: signature.count }) : ""],
        ]}
      />
      <h3>{t("chain")}</h3>
      <Chain certificates={signature.chain} />
    </Panel>
  );
}

export function Chain({ certificates }: { certificates: Certificate[] }) {
  return (
    <ol class="chain">
      {certificates.map((certificate) => (
        <li key={`${certificate.purpose} ${certificate.key_id}`}>
          <p>
            <b dir="ltr" title={certificate.identity}>{identity(certificate.identity)}</b> <span class="tag">{said("purpose", certificate.purpose)}</span>
          </p>
          <p class="quiet">
            {t("valid", { from: day(certificate.not_before_ms), until: day(certificate.not_after_ms) })}
            {certificate.position > 0 && <> · {t("entry_n", { n: count(certificate.position) })}</>}
          </p>
          <p><Digits text={certificate.key_id} /></p>
        </li>
      ))}
    </ol>
  );
}

function PlaceInLog({ trace }: { trace: Trace }) {
  const place = trace.place;
  if (!place) return null;
  const part = place.log_end > 0 ? (100 * place.position) / place.log_end : 0;
  return (
    <Panel
      title={t("place")} id="place"
      aside={<span class={`state ${place.holds ? "well" : "down"}`}><Shape state={place.holds ? "well" : "down"} /> {place.holds ? t("holds") : t("holds_not")}</span>}
    >
      <p class="position">
        <b>{count(place.position)}</b> <span class="quiet">{t("of_entries", { n: count(place.log_end) })}</span>
      </p>
      <svg class="log" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label={`${t("place")}: ${count(place.position)}`}>
        <rect class="all" width="100" height="6" rx="1" />
        <rect class="at" x={Math.min(99.2, part)} y="0" width=".8" height="6" />
      </svg>
      <Facts
        facts={[
          [t("log"), <Digits text={place.log_id} />],
          [t("header_hash"), <Digits text={place.header_hash} />],
          [t("entry_size"), bytes(place.entry_bytes)],
          [t("made_n"), place.n > 0 ? count(place.n) : ""],
          [t("body"), place.body === "damaged" || place.body === "not as signed" ? <span class="state down"><Shape state="down" /> {said("body", place.body)}</span> : said("body", place.body)],
        ]}
      />
    </Panel>
  );
}

/** To whom it is addressed: `all`, `region Europe`, `FR`, `except BR`, `as referred`, `copy IPSG`. */
function addressed(words: string): string {
  const [first = "", ...rest] = words.split(" ");
  const whom = rest.join(" ");
  switch (first) {
    case "all":
      return said("rule", "ALL");
    case "region":
      return said("region", whom);
    case "except":
      return t("audience.except", { country: country(whom) });
    case "copy":
      return t("audience.copy", { country: country(whom) });
    case "as":
      return said("rule", "REFERRED");
    default:
      return country(words);
  }
}

function Header({ trace }: { trace: Trace }) {
  const header = trace.header;
  return (
    <Panel title={t("header")} id="header">
      <Facts
        facts={[
          [t("audience"), header?.audience.map(addressed).join(", ")],
          [t("refers_to"), trace.refers_to && <MessageId id={trace.refers_to} />],
          [t("conversation"), trace.conversation && <a href={to("messages", "", { conversation: trace.conversation })}><bdi dir="ltr">{trace.conversation}</bdi></a>],
          [t("operation"), trace.operation && <a href={to("operations", trace.operation)}><bdi dir="ltr">{trace.operation}</bdi></a>],
          [t("seat"), header?.seat && <bdi dir="ltr">{header.seat}</bdi>],
          [t("reply_by"), header?.reply_by_ms ? <At ms={header.reply_by_ms} whole /> : ""],
          [t("expires"), header?.expires_at_ms ? <At ms={header.expires_at_ms} whole /> : ""],
          [t("attachments"), header?.attachments ? count(header.attachments) : ""],
          [t("body_hash"), header?.body_hash && <Digits text={header.body_hash} />],
          [t("trace"), trace.trace_id && <Digits text={trace.trace_id} />],
        ]}
      />
    </Panel>
  );
}

function Recipients({ trace }: { trace: Trace }) {
  const recipients = trace.status?.recipients ?? [];
  const why = new Map((trace.recipients ?? []).map((one) => [one.party, one]));
  return (
    <Panel title={t("recipients")} id="recipients" aside={<span class="many">{count(recipients.length)}</span>}>
      {recipients.length === 0 && <Nothing>{t("no_recipients")}</Nothing>}
      {recipients.length > 0 && (
        <Table label={t("recipients")} head={[t("country"), t("stands"), t("since"), t("rule"), t("answer"), t("mailbox")]}>
          {recipients.map((one) => (
            <tr key={one.party}>
              <th scope="row">
                <Party code={one.party} />
              </th>
              <td>
                <span class={`key ${one.state.toLowerCase()}`}>
                  <i /> {said("recipient", one.state)}
                </span>
              </td>
              <td>
                <At ms={one.since_ms} />
              </td>
              <td>{said("rule", why.get(one.party)?.rule ?? "")}</td>
              <td>{one.answer === "UNSPECIFIED" ? "" : said("answer", one.answer)}</td>
              <td class="number">{why.get(one.party)?.mailbox_number || ""}</td>
            </tr>
          ))}
        </Table>
      )}
    </Panel>
  );
}
