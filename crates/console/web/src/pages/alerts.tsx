// What is wrong: the worst first, with what shows it and what to do.
import { useState } from "preact/hooks";
import type { Alert, AlertRule } from "../types";
import { At, Head, MessageId, Nothing, Panel, Party, Severity, Shape, Shown, Table, useLookup } from "../ui";
import { count, duration, said, says, t, toDo, watches } from "../words";

export function AlertsPage() {
  const [cleared, setCleared] = useState(false);
  const looked = useLookup<{ at_ms: number; alerts: Alert[]; rules: AlertRule[] }>("Alerts", { cleared }, 2000);
  return (
    <>
      <Head title={t("page.alerts")}>
        <label class="check">
          <input type="checkbox" checked={cleared} onChange={(event) => setCleared(event.currentTarget.checked)} /> {t("with_cleared")}
        </label>
      </Head>
      <Shown looked={looked}>
        {(data) => (
          <>
            <Panel title={t("now")} id="alerts" aside={<span class="many">{count(data.alerts.filter((alert) => !alert.cleared_at_ms).length)}</span>}>
              {data.alerts.length === 0 ? (
                <Nothing>
                  <Shape state="well" /> {t("no_alerts")}
                </Nothing>
              ) : (
                <AlertList alerts={data.alerts} now={data.at_ms} />
              )}
            </Panel>
            <Panel title={t("rules")} id="rules">
              <Table label={t("rules")} head={[t("rule"), t("weight"), t("watches"), t("next_step")]}>
                {data.rules.map((rule) => (
                  <tr key={rule.name}>
                    <th scope="row">{said("alert", rule.name)}</th>
                    <td>
                      <Severity severity={rule.severity} />
                    </td>
                    <td class="words">{watches(rule.name, rule.about)}</td>
                    <td class="words">{toDo(rule.name, rule.next_step)}</td>
                  </tr>
                ))}
              </Table>
            </Panel>
          </>
        )}
      </Shown>
    </>
  );
}

export function AlertList({ alerts, now }: { alerts: Alert[]; now: number }) {
  return (
    <ul class="alerts">
      {alerts.map((alert) => (
        <li key={`${alert.rule} ${alert.party} ${alert.message_id} ${alert.first_seen_ms}`} class={alert.cleared_at_ms ? "over" : alert.severity.toLowerCase()}>
          <p>
            <Severity severity={alert.severity} /> <b>{said("alert", alert.rule)}</b> {alert.party && <Party code={alert.party} />} {alert.message_id && <MessageId id={alert.message_id} />}
          </p>
          <Line alert={alert} />
          <p class="quiet">
            {alert.cleared_at_ms ? (
              <>
                {t("cleared")} <At ms={alert.cleared_at_ms} />
              </>
            ) : (
              <>
                {t("first_seen")} <At ms={alert.first_seen_ms} /> · {duration(Math.max(0, now - alert.first_seen_ms))}
              </>
            )}
            {alert.next_step && <> · {toDo(alert.rule, alert.next_step, alert)}</>}
          </p>
        </li>
      ))}
    </ul>
  );
}

/** What is wrong; in the hub's English where the reader's language has no words for it. */
function Line({ alert }: { alert: Alert }) {
  const line = says(alert);
  return (
    <p class="says" lang={line === undefined ? "en" : undefined}>
      <bdi>{line ?? alert.text}</bdi>
    </p>
  );
}
