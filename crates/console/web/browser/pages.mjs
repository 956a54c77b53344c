// What each page shows is what the hub says: the numbers on it are compared with the monitor's answers.
import { asked, assert, number, words } from "./story.mjs";
import { COUNTRIES, settled, until } from "./network.mjs";

/** Facts of a panel by their names. */
async function factsOf(page, panel) {
  return Object.fromEntries(await page.locator(`${panel} dl > div`).evaluateAll((all) => all.map((one) => [one.querySelector("dt").textContent, one.querySelector("dd").textContent])));
}

/** Opens page after page and compares. */
export async function pagesSayWhatTheHubSays({ page, open, network }) {
  await open("operations/infra-red-2010");
  const tally = await asked(page, "OperationTally", { operation: "infra-red-2010" });
  for (const kind of tally.kinds) {
    const cell = page.locator(`tr[data-kind="${kind.kind}"] .accepted`);
    assert(number(await cell.textContent()) === kind.accepted, `${kind.kind}: ${await cell.textContent()}, not ${kind.accepted}`);
  }
  await open("operations");
  const { operations } = await asked(page, "Operations");
  assert(operations.length === 5, `${operations.length} operations`);
  for (const one of operations) {
    const rows = page.locator(`#recorded-${one.id} tr[data-figure]`);
    await rows.first().waitFor();
    const recorded = await rows.evaluateAll((all) => all.map((row) => [row.dataset.figure, row.querySelector(".recorded").textContent]));
    assert(String(recorded.map(([name, text]) => [name, number(text)])) === String(one.recorded.map((figure) => [figure.figure, figure.value])), `${one.id}: ${recorded}`);
  }
  await until("what is counted beside it as the hub says", async () => {
    const { participants } = await asked(page, "OperationTally", { operation: "infra-red-2010" });
    const unknown = await page.locator("td.counted").evaluateAll((all) => all.filter((cell) => !/\d/.test(cell.textContent)).map((cell) => cell.parentElement.dataset.figure));
    if (unknown.length > 0) throw new Error(`not counted: ${unknown}`);
    return number(await page.locator('#recorded-infra-red-2010 tr[data-figure="countries"] .counted').textContent()) === participants;
  });
  // Two passports of France that were stolen, one of them checked twice at two desks, and one that nobody misses.
  await network.hammer();
  await open("operations/hammer");
  await until("searches as the hub says", async () => {
    const { searches } = await asked(page, "OperationTally", { operation: "hammer" });
    const counts = Object.fromEntries(await page.locator("#searches [data-count]").evaluateAll((all) => all.map((one) => [one.dataset.count, one.textContent])));
    const stations = await page.locator("#searches tr[data-station]").evaluateAll((all) => all.map((row) => [row.dataset.station, row.querySelector(".asked").textContent]));
    assert(searches.count.keys === 4 && searches.count.matches === 3 && searches.hits.hits === 3, JSON.stringify(searches));
    assert(String(searches.most.map((one) => [one.station, one.count.keys])) === "gate,3,harbour,1", JSON.stringify(searches.most));
    return number(counts.keys) === 4 && number(counts.matches) === 3 && number(counts.hits) === 3 && String(stations) === "gate,3,harbour,1";
  });
  await open("operations");
  await until("the figures of searches as the hub says", async () => {
    const cells = page.locator("#recorded-hammer tr[data-figure]");
    const counted = await cells.evaluateAll((all) => all.map((row) => [row.dataset.figure, row.querySelector(".counted").textContent]));
    return String(counted.map(([name, text]) => [name, number(text)])) === "checks,4,matches,3,stations,2";
  });
  await open("country/FR");
  await until("queues as the hub says", async () => {
    const { lanes, replies } = await asked(page, "Country", { country: "FR" });
    const cells = await page.locator("#queues .waits").allTextContents();
    const told = lanes.map((lane) => lane.queued);
    const shown = cells.map(number);
    return shown.length === 4 && shown.every((value, at) => value === told[at]) && (await page.locator("#replies").textContent()).includes(String(replies.answered));
  });
  await until("how it answers, and how fast its queues drain, as the hub says", async () => {
    const { lanes, replies } = await asked(page, "Country", { country: "FR" });
    const facts = await factsOf(page, "#replies");
    const told = [replies.answered, replies.owed, replies.overdue];
    const shown = ["answered", "owed", "overdue"].map((name) => number(facts[words[name]]));
    const cells = await page.locator("#queues tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].slice(-2).map((cell) => cell.textContent)));
    const drains = lanes.every((lane, at) => (cells[at][1] === words.empty) === (lane.queued === 0) && Math.abs(number(cells[at][0]) - lane.delivered_per_second) < 0.1 + lane.delivered_per_second / 2);
    return String(shown) === String(told) && number(facts[words.in_time]) === Math.round((100 * replies.in_time) / replies.answered) && facts.p90 !== undefined && drains;
  });
  await until("link and certificates as the hub says", async () => {
    const { link, certificates } = await asked(page, "Country", { country: "FR" });
    const facts = await factsOf(page, "#link");
    const names = ["last_contact", "credit", "skew", "program", "address"].filter((name) => !facts[words[name]]);
    assert(names.length === 0, `the link lacks ${names}: ${JSON.stringify(facts)}`);
    const ends = await page.locator("#certificates li").allTextContents();
    return number(facts[words.credit]) === link.credit && facts.TLS.includes(link.tls_group) && ends.length === certificates.length && ends.length === 2;
  });
  await open("messages?from=FR&kind=FREE_TEXT");
  await until("rows as the hub says", async () => {
    const { rows } = await asked(page, "FindMessages", { from: "FR", kinds: ["FREE_TEXT"], limit: 5, until_ms: Date.now() - 5000 });
    const shown = Object.fromEntries(await page.locator("table.messages tbody tr").evaluateAll((all) => all.map((row) => {
      const [kind, from, , lane, , receipts] = [...row.querySelectorAll("td")].map((cell) => cell.textContent.trim());
      return [row.querySelector("a.id").textContent, [kind, from, lane, receipts.match(/\d+ of \d+/)?.[0]]];
    })));
    const told = (row) => [words["kind.free_text"], "FR", words[`lane.${row.lane.toLowerCase()}`], `${row.delivered + row.opened + row.actioned} of ${row.recipients}`];
    if (rows.length > 0 && rows.every((row) => String(shown[row.id]) === String(told(row)))) return true;
    await page.reload();
    await settled(page);
    return false;
  });
  await open("matrix");
  await until("pairs as the hub says", async () => {
    const { pairs, at_ms, since_ms } = await asked(page, "Statistics", { window_s: 300 });
    const most = pairs.filter((pair) => pair.to).sort((a, b) => b.accepted - a.accepted)[0];
    const row = page.locator(`tr[data-pair="${most.from}-${most.to}"]`);
    const [sent, rate, failed, overdue, delivered] = await Promise.all([".accepted", '[data-measure="rate"]', '[data-measure="failed"]', '[data-measure="overdue"]', ".accepted + td"].map(async (cell) => number(await row.locator(cell).textContent())));
    if (failed !== most.failed || overdue !== most.overdue || Math.abs(delivered - most.delivered) > 5) return false;
    if ((await row.locator('[data-measure="delivery_p99_ms"]').textContent()) !== (most.delivery_p99_ms >= 1000 ? `${most.delivery_p99_ms / 1000} sec` : `${most.delivery_p99_ms} ms`)) return false;
    const told = most.accepted / ((at_ms - since_ms) / 60_000);
    // It goes on being counted while it is looked at.
    return Math.abs(sent - most.accepted) <= 5 && Math.abs(rate - told) <= 1 + told / 5;
  });
  await open("databases");
  await until("databases as the hub says", async () => {
    const { databases, hits } = await asked(page, "Databases", { window_s: 3600 });
    const cells = await page.locator("#databases tr[data-database]").evaluateAll((rows) => rows.map((row) => [row.dataset.database, ...[".records", ".asked", ".found"].map((cell) => row.querySelector(cell).textContent)]));
    const shown = Object.fromEntries(cells.map(([name, ...values]) => [name, values.map(number)]));
    const same = databases.every((one) => String(shown[one.database]) === String([one.records, one.asked, one.found]));
    const sltd = databases.find((one) => one.database === "SLTD");
    const times = (name) => page.locator(`#databases tr[data-database="${name}"]`).evaluate((row) => [".per-second", ".p50", ".p99"].map((cell) => row.querySelector(cell).textContent));
    assert(String(await times("VESSELS")) === "–,–,–", "nobody asked about vessels");
    const [perSecond, ...shownTimes] = await times("SLTD");
    const told = [sltd.look_up_p50_ms, sltd.look_up_p99_ms];
    // From a second on it is said in seconds.
    assert(number(perSecond) > 0 && told.every((ms, at) => ms >= 1000 || shownTimes[at] === `${ms} ms`), `${perSecond}, ${shownTimes}`);
    return same && sltd.records === 3 && sltd.found === 4 && sltd.asked === 6 && hits.reduce((sum, one) => sum + one.count, 0) === 4;
  });
  await until("copies as the hub says", async () => {
    const { copies } = await asked(page, "Databases", { window_s: 3600 });
    const shown = await page.locator("#copies tr[data-copy]").evaluateAll((rows) => rows.map((row) => [row.dataset.copy, row.querySelector(".version").textContent, row.querySelector(".as_of time")?.dateTime, row.querySelector(".age").className]));
    const told = copies.map((one) => [`${one.holder} ${one.database}`, `${one.base_version} / ${one.supplement_version}`, new Date(one.as_of_ms).toISOString(), "age state well"]);
    return copies.length === 1 && copies[0].party === "DE" && copies[0].database === "SLTD" && String(shown) === String(told);
  });
  await open("notices");
  await until("notices as the hub says", async () => {
    const { notices, counts } = await asked(page, "Notices", { limit: 100 });
    const ids = await page.locator("#notices tbody th").allTextContents();
    const inForce = await page.locator("[data-colour]").evaluateAll((all) => all.map((one) => [one.dataset.colour, one.querySelector(".in-force").textContent]));
    const told = counts.map((one) => [one.colour, one.in_force]);
    const waiting = await page.locator("[data-colour]").evaluateAll((all) => all.map((one) => one.querySelector(".quiet")?.textContent ?? "0"));
    if (String(waiting.map(number)) !== String(counts.map((one) => one.pending))) return false;
    const rows = await page.locator("#notices tbody tr").evaluateAll((all) => all.map((row) => [row.querySelector(".code").textContent, row.cells[3].textContent.trim(), row.cells[5].textContent]));
    const says = notices.map((one) => [one.requester, words[`notice.${one.state.toLowerCase()}`], one.except || ""]);
    if (!rows.every((row, at) => row[0] === says[at][0] && row[1].startsWith(says[at][1]) && row[2] === String(says[at][2]))) return false;
    return ids.length > 0 && String(ids) === String(notices.map((one) => one.notice_id)) && String(inForce.map(([colour, text]) => [colour, number(text)])) === String(told);
  });
  await open("identities");
  await until("identities as the hub says", async () => {
    const { identities } = await asked(page, "Identities");
    const paths = await page.locator("#identities tbody th").allTextContents();
    const told = identities.map((one) => new URL(one.identity).pathname.slice(1));
    const newest = [...identities].sort((a, b) => b.since_ms - a.since_ms || b.position - a.position).slice(0, 8).map((one) => one.identity);
    const changed = await page.locator("#changes tr[data-change]").evaluateAll((all) => all.map((one) => one.dataset.change));
    const rows = await page.locator("#identities tbody tr").evaluateAll((all) => all.map((row) => [row.cells[1].textContent.trim(), row.querySelector("time").dateTime, row.querySelector(".digits")?.textContent ?? ""]));
    const says = identities.slice(0, rows.length).map((one) => [words[`standing.${one.standing.toLowerCase()}`], new Date(one.since_ms).toISOString(), one.certificates[0]?.key_id ?? ""]);
    if (!rows.every((row, at) => row[0].startsWith(says[at][0]) && row[1] === says[at][1] && row[2] === says[at][2])) return false;
    // Every certificate that is in force ends at some time, the authority's too.
    const inForce = identities.filter((one) => one.standing === "ACTIVE").flatMap((one) => one.certificates).length + 1;
    const ending = (await page.locator(".steps b").allTextContents()).map(number);
    if (ending.reduce((sum, one) => sum + one, 0) !== inForce || (await page.locator("svg.expiry line:not(.axis)").count()) !== inForce) return false;
    return paths.length > COUNTRIES.length && String(paths) === String(told.slice(0, paths.length)) && paths.length === Math.min(60, told.length) && String(changed) === String(newest);
  });
  await open("alerts");
  await until("alerts and their rules as the hub says", async () => {
    const { alerts, rules } = await asked(page, "Alerts", {});
    const nameless = rules.map((rule) => `alert.${rule.name}`).filter((word) => !(word in words));
    assert(nameless.length === 0, `no word for ${nameless}`);
    const texts = await page.locator("#alerts .alerts > li").allTextContents();
    const since = await page.locator("#alerts .alerts > li time").evaluateAll((all) => all.map((one) => one.dateTime));
    if (String(since) !== String(alerts.map((one) => new Date(one.first_seen_ms).toISOString()))) return false;
    if (!alerts.every((one, at) => texts[at].includes(one.next_step) && texts[at].includes(one.message_id) && texts[at].includes(one.party))) return false;
    return (await page.locator("#rules tbody tr").count()) === rules.length && texts.length === alerts.length && alerts.every((one, at) => texts[at].includes(one.text));
  });
  await open("live");
  await until("numbers as the hub says", async () => {
    const { numbers } = await asked(page, "Statistics", {});
    const [accepted, behind] = await Promise.all(["accepted", "behind"].map(async (one) => number(await page.locator(`[data-number="${one}"] b`).textContent())));
    const links = await page.locator(".hub .sum").textContent();
    if (behind !== numbers.behind_log) return false;
    const [delivered, p99, oldest, pq] = await Promise.all(["delivered", "p99", "oldest", "pq"].map((one) => page.locator(`[data-number="${one}"] b`).textContent()));
    if (Math.abs(number(delivered) - numbers.delivered_per_second) > 2 + numbers.delivered_per_second / 2 || number(pq) !== numbers.links_not_post_quantum) return false;
    if (p99 !== (numbers.delivery_p99_ms >= 1000 ? `${numbers.delivery_p99_ms / 1000} sec` : `${numbers.delivery_p99_ms} ms`)) return false;
    if ((oldest === words.none_waits) !== (numbers.oldest_accepted_at_ms === 0)) return false;
    return links === `${numbers.links_connected}/${numbers.links}` && Math.abs(accepted - numbers.accepted_per_second) < 2 + numbers.accepted_per_second / 2;
  });
}
