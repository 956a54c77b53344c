// Notices: how many of each colour are in force, and what waits for a reviewer.
import { useState } from "preact/hooks";
import { now } from "../live";
import { go, place, to } from "../route";
import { At, Head, MessageId, Nothing, Panel, Party, Shape, Shown, Table, useLookup } from "../ui";
import { count, duration, said, t } from "../words";

interface Notice {
  notice_id: string;
  colour: string;
  requester: string;
  edition: number;
  request_id: string;
  published: string[];
  state: string;
  waiting_since_ms: number;
  except: number;
}

interface Notices {
  notices: Notice[];
  next: string;
  counts: { colour: string; in_force: number; pending: number }[];
  oldest_pending_at_ms: number;
}

const PAGE = 100;

export function NoticesPage() {
  const query = place.value.query;
  const colour = query.get("colour") ?? "";
  const pending = query.get("pending") === "true";
  // Page after page: where each began.
  const [begins, setBegins] = useState<string[]>([""]);
  const after = begins.at(-1) ?? "";
  const looked = useLookup<Notices>("Notices", { colour, pending, limit: PAGE, after_notice_id: after }, 5000);
  const choose = (changed: Record<string, string>) => {
    setBegins([""]);
    go(to("notices", "", { colour, pending: pending ? "true" : "", ...changed }));
  };
  return (
    <>
      <Head title={t("page.notices")}>
        <label class="check">
          <input type="checkbox" checked={pending} onChange={(event) => choose({ pending: event.currentTarget.checked ? "true" : "" })} /> {t("only_pending")}
        </label>
      </Head>
      <Shown looked={looked}>
        {(data) => (
          <>
            <ul class="colours">
              {data.counts.map((one) => (
                <li key={one.colour}>
                  <button type="button" data-colour={one.colour} aria-pressed={colour === one.colour} onClick={() => choose({ colour: colour === one.colour ? "" : one.colour })}>
                    <i class={`swatch ${one.colour.toLowerCase()}`} /> {said("colour", one.colour)} <b class="in-force">{count(one.in_force)}</b>
                    {one.pending > 0 && <span class="quiet">{t("pending_n", { n: count(one.pending) })}</span>}
                  </button>
                </li>
              ))}
            </ul>
            {data.oldest_pending_at_ms > 0 && (
              <p class="under">
                <Shape state="slow" /> {t("oldest_pending", { time: duration(Math.max(0, now() - data.oldest_pending_at_ms)) })}
              </p>
            )}
            <Panel title={t("page.notices")} id="notices">
              {data.notices.length === 0 ? <Nothing>{t("nothing_found")}</Nothing> : <Rows notices={data.notices} />}
              <p class="more">
                {begins.length > 1 && <button type="button" onClick={() => setBegins(begins.slice(0, -1))}>{t("back")}</button>}
                {data.next && <button type="button" onClick={() => setBegins([...begins, data.next])}>{t("more")}</button>}
              </p>
            </Panel>
          </>
        )}
      </Shown>
    </>
  );
}

function Rows({ notices }: { notices: Notice[] }) {
  return (
    <Table label={t("page.notices")} head={[t("number"), t("colour"), t("requester"), t("stands"), t("edition"), t("barred"), t("request"), t("published")]}>
      {notices.map((notice) => (
        <tr key={notice.notice_id}>
          <th scope="row"><bdi dir="ltr">{notice.notice_id}</bdi></th>
          <td>
            <i class={`swatch ${notice.colour.toLowerCase()}`} /> {said("colour", notice.colour)}
          </td>
          <td>
            <Party code={notice.requester} />
          </td>
          <td>
            {said("notice", notice.state)} {notice.waiting_since_ms > 0 && <span class="quiet"><At ms={notice.waiting_since_ms} /></span>}
          </td>
          <td class="number">{notice.edition || ""}</td>
          <td class="number">{notice.except || ""}</td>
          <td>{notice.request_id && <MessageId id={notice.request_id} />}</td>
          <td>
            {notice.published.map((id) => (
              <MessageId key={id} id={id} />
            ))}
          </td>
        </tr>
      ))}
    </Table>
  );
}
