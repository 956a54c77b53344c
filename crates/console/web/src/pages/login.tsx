// Who are you? Nothing else is shown before.
import { useState } from "preact/hooks";
import { Settings } from "../app";
import { CallError, logIn } from "../api";
import { said, t } from "../words";

export function Login() {
  const [failed, setFailed] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    setFailed("");
    try {
      await logIn(String(data.get("name")), String(data.get("password")));
    } catch (error) {
      const failure = error instanceof CallError ? error.failure : { error: "console_lost" };
      setFailed(failure.retry_after_s ? t("error.too_often", { s: failure.retry_after_s }) : said("error", failure.error));
      setBusy(false);
    }
  };
  return (
    <main class="login">
      <form onSubmit={(event) => void submit(event)}>
        <img src="/icon.svg" alt="" width="44" height="44" />
        <h1>{t("title")}</h1>
        <p class="quiet">{t("simulation")}</p>
        <label>
          {t("name")}
          <input name="name" autocomplete="username" required autofocus spellcheck={false} autocapitalize="off" dir="ltr" />
        </label>
        <label>
          {t("password")}
          <input name="password" type="password" autocomplete="current-password" required dir="ltr" />
        </label>
        <p class="failed" role="alert">{failed}</p>
        <button class="primary" type="submit" disabled={busy}>
          {t("log_in")}
        </button>
        <div class="settings">
          <Settings />
        </div>
      </form>
    </main>
  );
}
