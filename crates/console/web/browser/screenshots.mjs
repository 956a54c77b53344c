// Pictures of every page in both widths, light and dark, and in Arabic: node browser/screenshots.mjs DIRECTORY
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { browse, load, logIn, settled, start } from "./network.mjs";

const out = process.argv[2] ?? "screenshots";
mkdirSync(out, { recursive: true });
const network = await start();
const traffic = load(network);
const browser = await browse();
try {
  const opened = await network.console();
  const id = (await network.command("text", "BR,JP,DE", "a picture", "--as", "FR", "--json")).match(/[A-Z]{2}-\d+-[A-Z]-\d+/)?.[0];
  await network.loadStolen(["12AB34567", "12AB34568", "12AB34569"]);
  await network.hammer();
  await network.fetchCopy("DE", "sltd");
  const pages = {
    live: "live", messages: "messages", message: `message/${id}`, country: "country/FR", matrix: "matrix", databases: "databases", notices: "notices", identities: "identities", alerts: "alerts", operations: "operations", operation: "operations/hammer",
  };
  for (const [width, height] of [[1280, 800], [390, 844]]) {
    for (const [theme, language] of [["light", "en"], ["dark", "en"], ["light", "ar"]]) {
      const context = await browser.newContext({ viewport: { width, height } });
      const page = await context.newPage();
      await page.emulateMedia({ colorScheme: theme });
      const speak = async (tag) => {
        await page.evaluate((tag) => localStorage.setItem("i247.language", JSON.stringify(tag)), tag);
        await page.reload();
      };
      const picture = async (name, fullPage) => {
        const path = join(out, `${name}-${width}-${theme}-${language}.png`);
        await page.screenshot({ path, fullPage });
        console.log(path);
      };
      await page.goto(opened.address);
      await speak(language);
      await page.locator("form").waitFor();
      await picture("login", true);
      await speak("en");
      await logIn(page, opened);
      await speak(language);
      for (const [name, address] of Object.entries(pages)) {
        await page.goto(`${opened.address}/#/${address}`);
        await page.locator("h1").first().waitFor();
        await settled(page);
        if (name === "live") await page.waitForTimeout(2500);
        await picture(name, name !== "live" || width < 600);
      }
      await context.close();
    }
  }
} finally {
  await browser.close();
  await traffic.stop();
  await network.stop();
}
