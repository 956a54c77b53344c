// What one operation put on the network, counted by the hub from its log.
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
      <Shown looked={looked}>{(tally) => (tally.kinds.length === 0 ? <Nothing>{t("no_operation", { name: shown })}</Nothing> : <Operation name={shown} tally={tally} />)}</Shown>
    </>
  );
}

function Operation({ name, tally }: { name: string; tally: Tally }) {
  return (
    <>
      <Panel title={name} aside={<a href={to("messages", "", { operation: name })}>{t("messages")}</a>}>
        <Facts
          facts={[
            [t("participants"), count(tally.participants)],
            [t("seats"), count(tally.seats)],
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
                <td class="number">{t("n_of_m", { n: count(one.answered), m: count(one.owed) })}</td>
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
