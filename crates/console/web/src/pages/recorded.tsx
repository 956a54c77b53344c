// The operations that the program brings along: what was recorded of the real ones beside what the hub counts now.
import { to } from "../route";
import { Panel, Party, Shown, Table, useLookup } from "../ui";
import { count, said, t } from "../words";

interface Recorded {
  operations: { id: string; name: string; country: string; recorded: Figure[] }[];
}

interface Figure {
  figure: string;
  value: number;
  qualifier: string;
  source: string;
}

interface Tally {
  kinds: { kind: string; accepted: number; delivered: number }[];
  participants: number;
  seats: number;
}

interface Asked {
  askers: { party: string; asked: number; found: number }[];
}

/** Of messages the log holds all; of searches the hub knows those of the last hour, by country. */
const HOUR_S = 3600;
/** So many askers the hub names. */
const ASKERS = 20;

export function RecordedOperations() {
  const looked = useLookup<Recorded>("Operations", {});
  return <Shown looked={looked}>{({ operations }) => <div class="columns recorded">{operations.map((one) => <Operation key={one.id} one={one} />)}</div>}</Shown>;
}

function Operation({ one }: { one: Recorded["operations"][number] }) {
  return one.country ? <OfSearches one={one} /> : <OfMessages one={one} />;
}

function OfMessages({ one }: { one: Recorded["operations"][number] }) {
  const { data } = useLookup<Tally>("OperationTally", { operation: one.id }, 5000);
  const kind = (name: string) => data?.kinds.find((of) => of.kind === name);
  const counted = (figure: string): number | undefined => {
    if (!data) return undefined;
    switch (figure) {
      case "countries":
        return data.participants;
      case "officers":
        return data.seats;
      case "sent":
        return kind("request")?.accepted ?? 0;
      case "received":
        return kind("reply")?.delivered ?? 0;
      case "arrests":
        return kind("arrest report")?.accepted ?? 0;
      default:
        return undefined;
    }
  };
  return <Progress one={one} counted={counted} says={<a href={to("operations", one.id)}>{t("counted_in_log")}</a>} />;
}

function OfSearches({ one }: { one: Recorded["operations"][number] }) {
  const { data } = useLookup<Asked>("Databases", { window_s: HOUR_S }, 5000);
  const own = data?.askers.find((asker) => asker.party === one.country);
  const counted = (figure: string): number | undefined => {
    // Who asks least of many is not among those whom the hub names.
    if (!data || (!own && data.askers.length >= ASKERS)) return undefined;
    if (figure === "checks") return own?.asked ?? 0;
    if (figure === "matches") return own?.found ?? 0;
    return undefined;
  };
  return <Progress one={one} counted={counted} says={<>{t("searches_last_hour")} <Party code={one.country} /></>} />;
}

function Progress({ one, counted, says }: { one: Recorded["operations"][number]; counted: (figure: string) => number | undefined; says: preact.ComponentChildren }) {
  return (
    <Panel title={one.name} id={`recorded-${one.id}`} aside={<span class="quiet">{says}</span>}>
      <Table label={one.name} class="recorded" head={[t("figure"), t("recorded"), t("counted"), t("progress")]}>
        {one.recorded.map((figure) => {
          const now = counted(figure.figure);
          const part = now === undefined ? 0 : Math.min(100, (100 * now) / Math.max(1, figure.value));
          return (
            <tr key={figure.figure} data-figure={figure.figure}>
              <th scope="row" title={figure.source}>{said("figure", figure.figure)}</th>
              <td class="number recorded">{figure.qualifier === "exact" ? count(figure.value) : t(figure.qualifier === "about" ? "about_n" : "more_than_n", { n: count(figure.value) })}</td>
              <td class="number counted">{now === undefined ? <span class="quiet" title={t("not_counted_here")}>–</span> : count(now)}</td>
              <td class="receipts">
                {now !== undefined && (
                  <svg class="parts" viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label={t("n_of_m", { n: count(now), m: count(figure.value) })}>
                    <rect class="actioned" width={part} height="4" />
                  </svg>
                )}
              </td>
            </tr>
          );
        })}
      </Table>
    </Panel>
  );
}
