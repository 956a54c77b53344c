// A real network of 12 countries, the console in front of it, and a browser that is logged in. Everything that is started
// here is stopped here.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../../../..");
const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
export const program = process.env.I247_PROGRAM ?? join(target, "debug/i247");
export const COUNTRIES = ["FR", "BR", "JP", "DE", "IT", "ES", "GB", "US", "ZA", "KE", "EG", "AU"];

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Waits until it is so; the deadline is wide, since the machine may be busy. */
export async function until(what, look, within = 60_000) {
  const end = Date.now() + within;
  let last;
  while (Date.now() < end) {
    try {
      const found = await look();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    await new Promise((resolved) => setTimeout(resolved, 50));
  }
  throw new Error(`not within ${within} ms: ${what}${last ? ` (${last.message})` : ""}`);
}

function run(args, env) {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const output = { text: "", code: undefined };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text) => {
      output.text = (output.text + text).slice(-100_000);
    });
  }
  child.on("exit", (code, signal) => {
    output.code = code ?? signal;
  });
  return { child, output };
}

/** Starts it all. */
export async function start(countries = COUNTRIES) {
  const dir = mkdtempSync(join(tmpdir(), "i247-console-"));
  const demo = run(["demo", "--countries", countries.join(","), "--processes", "--keep", "--dir", join(dir, "network")], {});
  const env = { I247_HOME: join(dir, "network/home") };
  const console_ = {};
  const network = {
    dir,
    env,
    /** An officer's command. */
    command(...args) {
      const { output, child } = run(args, env);
      return new Promise((done, failed) => {
        child.on("exit", (code) => (code === 0 ? done(output.text) : failed(new Error(`${args.join(" ")}: ${output.text}`))));
      });
    },
    /** Puts stolen passports of France into the database of stolen and lost travel documents. */
    loadStolen(numbers) {
      const file = join(dir, "stolen.csv");
      const rows = numbers.map((number) => `${number},FRA,PASSPORT,STOLEN_BEARER`);
      writeFileSync(file, ["number,issuing_country,document_type,fraud_type", ...rows].join("\n"));
      return network.command("records", "load", "sltd", file, "--as", "FR");
    },
    /** Brazil checks documents at two desks, for an operation: three of four are among those that were stolen. */
    async hammer() {
      for (const [number, station] of [["12AB34567", "gate"], ["12AB34567", "harbour"], ["12AB34568", "gate"], ["12AB99999", "gate"]]) {
        const words = ["check", number, "--country", "FRA", "--purpose", "border", "--operation", "hammer", "--station", station];
        // What is found is told by the exit code too.
        await network.command(...words, "--as", "BR").catch(() => undefined);
      }
    },
    /** A bureau's own program fetches an offline copy from the hub. */
    async fetchCopy(country, database) {
      const contexts = JSON.parse(await network.command("context", "list", "--json"));
      const { address, server } = contexts.find((one) => one.name === "operator");
      const keys = join(dir, "network", country.toLowerCase());
      await network.command("context", "add", "copies", "--address", address, "--server", server.replace(/^spiffe:\/\/[^/]+\//, ""), "--credentials", keys);
      return network.command("mind", "sync", join(dir, "mind"), "--databases", database, "--context", "copies");
    },
    /** The process of a country's bureau, or of the hub. */
    process(...words) {
      const own = childrenOf(demo.child.pid);
      return own.find(({ args }) => words.every((word) => args.includes(word)))?.pid;
    },
    async console() {
      const ready = join(dir, `console-${Date.now()}`);
      const listen = console_.address ?? "127.0.0.1:0";
      Object.assign(console_, run(["console", "--context", "operator", "--listen", listen, "--ready-file", ready], env));
      await until("the console listens", () => {
        if (console_.output.code !== undefined) throw new Error(console_.output.text);
        return existsSync(ready);
      });
      console_.address = readFileSync(ready, "utf8").trim();
      return { address: `http://${console_.address}`, password: /as operator with (\S+)/.exec(console_.output.text)?.[1] };
    },
    async stopConsole() {
      if (!console_.child || console_.output.code !== undefined) return;
      console_.child.kill("SIGTERM");
      await until("the console ends", () => console_.output.code !== undefined);
    },
    async stop() {
      await network.stopConsole();
      demo.child.kill("SIGTERM");
      await until("the network ends", () => demo.output.code !== undefined);
      rmSync(dir, { recursive: true, force: true });
    },
  };
  try {
    await until("the network stays", () => {
      if (demo.output.code !== undefined) throw new Error(demo.output.text);
      return demo.output.text.includes("stays until Ctrl-C");
    }, 600_000);
  } catch (error) {
    demo.child.kill("SIGTERM");
    throw error;
  }
  return network;
}

function childrenOf(parent) {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const own = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent;
      return own ? [{ pid: Number(pid), args: readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0") }] : [];
    } catch {
      return [];
    }
  });
}

/** Messages from everybody to everybody until it is stopped. */
export function load(network, countries = COUNTRIES) {
  let going = true;
  let sent = 0;
  const sender = async (start) => {
    for (let at = start; going; at += 1) {
      const from = countries[at % countries.length];
      const to = countries.filter((code) => code !== from && (at + code.charCodeAt(0)) % 3 !== 0);
      const words = at % 4 === 0
        ? ["ask", to.slice(0, 3).join(","), "--about", `load ${at}`, "--name", "PARDEL, Tessa", "--born", "1970-01-01"]
        : ["text", to.join(","), `load ${at}`];
      // Whoever was killed sends nothing: that is part of the story.
      await network.command(...words, "--as", from).then(() => { sent += 1; }, () => undefined);
    }
  };
  const senders = [sender(0), sender(5)];
  return { sent: () => sent, async stop() { going = false; await Promise.all(senders); } };
}

export function chromiumPath() {
  return process.env.I247_CHROMIUM ?? BROWSERS.find((path) => existsSync(path));
}

export async function browse() {
  const executablePath = chromiumPath();
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

/** Until the page shows what it asked for. */
export async function settled(page) {
  await until("the page has its answers", async () => (await page.locator(".loading").count()) === 0);
}

export async function logIn(page, { address, password }) {
  await page.goto(address);
  await page.getByLabel("Name", { exact: true }).fill("operator");
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.keyboard.press("Enter");
  await page.locator(".hub .sum").filter({ hasText: /\d+\/\d+/ }).waitFor({ timeout: 60_000 });
}
