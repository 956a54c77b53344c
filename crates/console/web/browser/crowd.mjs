// A network of as many countries as one likes: what the console would tell of it, told by the page itself.

/** Runs in the browser, before the page's own scripts: these bureaus move 2,000 messages a second. */
export function crowd([codes, numbers]) {
  window.EventSource = class extends EventTarget {
    static CLOSED = 2;
    readyState = 1;
    constructor() {
      super();
      const tell = (type, data) => this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }));
      const stand = (party) => ({ party, connected: true, standing: "ACTIVE", queued: [0, 0, 1, 0], oldest_accepted_at_ms: Date.now(), worst: "UNSPECIFIED" });
      setTimeout(() => tell("picture", { lost: null, at_ms: Date.now(), countries: codes.map(stand), numbers }), 100);
      let n = 0;
      const link = () => {
        n += 1;
        return { from: codes[n % codes.length], to: codes[(n * 7 + 3) % codes.length], kind: "FREE_TEXT", lane: "NORMAL", accepted: 1, delivered: 1, refused: 0 };
      };
      this.timer = setInterval(() => tell("tick", {
        at_ms: Date.now(), span_ms: 200, links: Array.from({ length: 400 }, link), countries: codes.slice(0, 50).map(stand), numbers,
      }), 200);
    }
    close() {
      clearInterval(this.timer);
    }
  };
}
