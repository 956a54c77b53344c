// The last hour as a band: where one is in it, and what was going on. Dragging shows the past; its right end is now.
import { max } from "d3-array";
import { backToLive, live, past, pastFailed, show } from "../live";
import { useLookup, Shape } from "../ui";
import type { Minute } from "../types";
import { clock, count, duration, t } from "../words";

const HOUR_MS = 3_600_000;
const SPEEDS = [1, 10, 60];

export function Scrubber() {
  const looked = useLookup<{ minutes: Minute[] }>("LastHour", {}, 15_000);
  const now = live.second.value;
  if (!now) return <div class="scrubber" />;
  const at = past.value?.at ?? now;
  const since = Math.max(now - HOUR_MS, 0);
  const minutes = looked.data?.minutes ?? [];
  const most = max(minutes, (minute) => minute.accepted + minute.refused) ?? 0;
  const move = (value: number) => {
    if (value >= HOUR_MS / 1000 - 1) backToLive();
    else void show(since + value * 1000, false);
  };
  const ago = now - at;
  return (
    <div class={`scrubber${past.value ? " past" : ""}`} role="group" aria-label={t("last_hour")}>
      <button type="button" class="play" onClick={toggle} aria-label={past.value?.playing ? t("pause") : t("play")}>
        <svg viewBox="0 0 16 16" aria-hidden="true">
          {past.value?.playing ? <path d="M4 3h3v10H4zM9 3h3v10H9z" /> : <path d="M4.500 2.500v11l9-5.500z" />}
        </svg>
      </button>
      <div class="band">
        <svg viewBox={`0 0 ${HOUR_MS} 100`} preserveAspectRatio="none" aria-hidden="true">
          {minutes.map((minute) => {
            const height = most > 0 ? (100 * (minute.accepted + minute.refused)) / most : 0;
            const x = minute.begins_ms - since;
            return x + 60_000 < 0 ? null : (
              <g key={minute.begins_ms}>
                <rect x={x + 4000} y={100 - height} width={52_000} height={height} />
                {minute.refused > 0 && <rect class="refused" x={x + 4000} y={100 - (100 * minute.refused) / most} width={52_000} height={(100 * minute.refused) / most} />}
              </g>
            );
          })}
        </svg>
        <input
          type="range" id="scrub" min={0} max={HOUR_MS / 1000} step={1} value={Math.round((at - since) / 1000)}
          aria-label={t("last_hour")} aria-valuetext={past.value ? t("ago", { time: duration(ago) }) : t("now")}
          onInput={(event) => move(Number(event.currentTarget.value))}
        />
      </div>
      <output class="when">
        {past.value ? (
          <>
            <time>{clock(at)}</time> <span class="quiet">{t("ago", { time: duration(ago) })}</span>
          </>
        ) : (
          <>
            <Shape state="well" /> {t("now")} <time class="quiet">{clock(now)} UTC</time>
          </>
        )}
      </output>
      {past.value && (
        <>
          <select
            aria-label={t("speed")} value={past.value.speed}
            onChange={(event) => {
              if (past.value) past.value = { ...past.value, speed: Number(event.currentTarget.value) };
            }}
          >
            {SPEEDS.map((speed) => (
              <option key={speed} value={speed}>
                ×{count(speed)}
              </option>
            ))}
          </select>
          <button type="button" onClick={backToLive}>
            {t("back_to_now")}
          </button>
        </>
      )}
      {pastFailed.value && <span class="failed">{t("no_replay")}</span>}
    </div>
  );
}

/** Live, it goes back a minute and plays from there. */
function toggle() {
  const now = past.value;
  if (!now) void show(live.at.value - 60_000, true);
  else if (now.playing) past.value = { ...now, playing: false };
  else void show(now.at, true);
}
