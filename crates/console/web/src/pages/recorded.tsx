// The operations that the program brings along: what was recorded of the real ones beside what the hub counts now.
import { to } from "../route";
import { Panel, Shown, Table, useLookup } from "../ui";
import { count, said, t } from "../words";

interface Recorded {
  operations: { id: string; name: string; recorded: Figure[] }[];
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
  cases: number;
  cases_located: number;
  /** None while the journal of searches is being read. */
  searches?: { count: { keys: number; matches: number }; stations: number } | null;
}

export function RecordedOperations() {
  const looked = useLookup<Recorded>("Operations", {});
  return <Shown looked={looked}>{({ operations }) => <div class="columns recorded">{operations.map((one) => <Operation key={one.id} one={one} />)}</div>}</Shown>;
}

function Operation({ one }: { one: Recorded["operations"][number] }) {
  const { data } = useLookup<Tally>("OperationTally", { operation: one.id }, 5000);
  const counted = (figure: string): number | undefined => data && count_of(data, figure);
  return <Progress one={one} counted={counted} says={<a href={to("operations", one.id)}>{t("counted_at_hub")}</a>} />;
}

/** What the hub counts of a figure; nothing as long as it does not know. */
function count_of(tally: Tally, figure: string): number | undefined {
  const kind = (name: string) => tally.kinds.find((of) => of.kind === name);
  switch (figure) {
    case "countries":
      return tally.participants;
    case "officers":
      return tally.seats;
    case "cases":
      return tally.cases;
    case "sent":
      return kind("request")?.accepted ?? 0;
    case "received":
      return kind("reply")?.delivered ?? 0;
    case "arrests":
      return kind("arrest report")?.accepted ?? 0;
    case "located":
      return tally.cases_located;
    case "checks":
      return tally.searches?.count.keys;
    case "matches":
      return tally.searches?.count.matches;
    case "stations":
      return tally.searches?.stations;
    default:
      return undefined;
  }
}

function Progress({ one, counted, says }: { one: Recorded["operations"][number]; counted: (figure: string) => number | undefined; says: preact.ComponentChildren }) {
  return (
    <Panel title={<bdi lang="en">{one.name}</bdi>} id={`recorded-${one.id}`} aside={<span class="quiet">{says}</span>}>
      <Table label={one.name} class="recorded" head={[t("figure"), t("recorded"), t("counted"), t("progress")]}>
        {one.recorded.map((figure) => {
          const now = counted(figure.figure);
          const part = now === undefined ? 0 : Math.min(100, (100 * now) / Math.max(1, figure.value));
          return (
            <tr key={figure.figure} data-figure={figure.figure}>
              <th scope="row" title={figure.source}>{said("figure", figure.figure)}</th>
              <td class="number recorded">{figure.qualifier === "exact" ? count(figure.value) : t(figure.qualifier === "about" ? "about_n" : "more_than_n", { n: count(figure.value) })}</td>
              <td class="number counted">{now === undefined ? <span class="quiet" title={t("searches_being_read")}>–</span> : count(now)}</td>
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
