// The frame around the pages: where one can go, what is wrong with the connection, language and colours.
import { useEffect } from "preact/hooks";
import { logOut, user, whoIsThere } from "./api";
import { helpShown, listen } from "./keys";
import { consoleLost, follow, hubLost, live, unfollow } from "./live";
import { go, place, to } from "./route";
import { language, theme, type Theme } from "./settings";
import { Shape } from "./ui";
import { current, LANGUAGES, t, type Word } from "./words";
import { AlertsPage } from "./pages/alerts";
import { CountryPage } from "./pages/country";
import { DatabasesPage } from "./pages/databases";
import { IdentitiesPage } from "./pages/identities";
import { LivePage } from "./pages/live";
import { Login } from "./pages/login";
import { MatrixPage } from "./pages/matrix";
import { MessagePage } from "./pages/message";
import { MessagesPage } from "./pages/messages";
import { NoticesPage } from "./pages/notices";
import { OperationsPage } from "./pages/operations";

const PAGES: [string, Word][] = [
  ["live", "page.live"],
  ["messages", "page.messages"],
  ["matrix", "page.matrix"],
  ["databases", "page.databases"],
  ["notices", "page.notices"],
  ["identities", "page.identities"],
  ["alerts", "page.alerts"],
  ["operations", "page.operations"],
];

export function App() {
  useEffect(() => void whoIsThere(), []);
  const name = user.value;
  useEffect(() => {
    if (!name) return undefined;
    follow();
    const unlisten = listen();
    return () => {
      unlisten();
      unfollow();
    };
  }, [name]);
  // Texts are made anew where the language changes.
  void current.value;
  if (name === undefined) return <p class="quiet loading">{t("loading")}</p>;
  if (name === null) return <Login />;
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        {t("skip")}
      </a>
      <Bar name={name} />
      <Banner />
      <main id="main" tabIndex={-1}>
        <Page />
      </main>
      {helpShown.value && <Keys />}
    </>
  );
}

function skip(event: Event) {
  // The address after `#` is the page: it must not change.
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Page() {
  const { page, rest } = place.value;
  const name = PAGES.find(([key]) => key === page)?.[1];
  const title = page === "message" || page === "country" ? rest : name ? t(name) : t("page.live");
  useEffect(() => {
    document.title = `${title} · i247`;
  }, [title]);
  switch (page) {
    case "messages":
      return <MessagesPage />;
    case "message":
      return <MessagePage key={rest} id={rest} />;
    case "country":
      return <CountryPage key={rest} code={rest} />;
    case "matrix":
      return <MatrixPage />;
    case "databases":
      return <DatabasesPage />;
    case "notices":
      return <NoticesPage />;
    case "identities":
      return <IdentitiesPage />;
    case "alerts":
      return <AlertsPage />;
    case "operations":
      return <OperationsPage key={rest} name={rest} />;
    default:
      return <LivePage />;
  }
}

function Bar({ name }: { name: string }) {
  const here = place.value.page;
  const alerts = live.numbers.value?.alerts ?? 0;
  return (
    <header class="bar">
      <a class="brand" href={to("live")}>
        <img src="/icon.svg" alt="" width="26" height="26" /> <span>i247</span>
      </a>
      <nav aria-label={t("pages")}>
        {PAGES.map(([page, word]) => (
          <a key={page} href={to(page)} aria-current={here === page ? "page" : undefined}>
            {t(word)}
            {page === "alerts" && alerts > 0 && <span class="many">{alerts}</span>}
          </a>
        ))}
      </nav>
      <form class="search" role="search" onSubmit={search}>
        <input id="search" name="text" type="search" placeholder={t("search_hint")} aria-label={t("search")} autocomplete="off" spellcheck={false} dir="ltr" />
      </form>
      <details class="menu">
        <summary aria-label={t("settings")}>
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <circle cx="10" cy="6.5" r="3.2" />
            <path d="M3.5 17c.8-3.6 3.3-5.4 6.5-5.4s5.700 1.800 6.500 5.400" />
          </svg>
        </summary>
        <div class="sheet">
          <p class="quiet">{t("logged_in", { name })}</p>
          <Settings />
          <button type="button" onClick={() => { helpShown.value = true; }}>{t("keys")}</button>
          <button type="button" onClick={() => void logOut()}>
            {t("log_out")}
          </button>
        </div>
      </details>
    </header>
  );
}

export function Settings() {
  return (
    <>
      <label>
        {t("language")}
        <select id="language" value={current.value} onChange={(event) => { language.value = event.currentTarget.value; }}>
          {LANGUAGES.map(([tag, label]) => (
            <option key={tag} value={tag} lang={tag}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <label>
        {t("theme")}
        <select id="theme" value={theme.value} onChange={(event) => { theme.value = event.currentTarget.value as Theme; }}>
          <option value="system">{t("theme.system")}</option>
          <option value="light">{t("theme.light")}</option>
          <option value="dark">{t("theme.dark")}</option>
        </select>
      </label>
    </>
  );
}

/** A message id, the beginning of one, or a country. */
function search(event: SubmitEvent) {
  event.preventDefault();
  const form = event.currentTarget as HTMLFormElement;
  const text = String(new FormData(form).get("text") ?? "").trim();
  if (!text) return;
  form.reset();
  // What is typed next is no search.
  document.querySelector<HTMLInputElement>("#search")?.blur();
  if (/^[a-z]{2}$/i.test(text)) go(to("country", text.toUpperCase()));
  else if (/^[A-Z]{2,4}-\d+-[A-Z]-\d+$/i.test(text)) go(to("message", text.toUpperCase()));
  else go(to("messages", "", { id: text.toUpperCase() }));
}

/** What is wrong with the way to the hub. It goes away by itself. */
function Banner() {
  const lost = consoleLost.value ? t("lost_console") : hubLost.value ? t("lost_hub") : "";
  return (
    <div class="banner" role="status" aria-live="polite">
      {lost && (
        <p>
          <Shape state="down" /> {lost} {!consoleLost.value && <span class="quiet" dir="ltr" lang="en">{hubLost.value}</span>}
        </p>
      )}
    </div>
  );
}

function Keys() {
  const keys: [string, string][] = [
    ["/", t("key.search")],
    ["g F R", t("key.country")],
    ["g L ↵", t("key.page")],
    ["← →", t("key.walk")],
    ["Esc", t("key.close")],
  ];
  return (
    <dialog open class="keys" aria-label={t("keys")}>
      <h2>{t("keys")}</h2>
      <dl>
        {keys.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd dir="ltr">{key}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <button type="button" onClick={() => { helpShown.value = false; }}>{t("close")}</button>
    </dialog>
  );
}
