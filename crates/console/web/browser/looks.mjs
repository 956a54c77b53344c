// What is wrong with the looks of a page, as it finds it itself: these run in the browser.

/** Texts with words in Latin letters that are none of those which are the same in every language: ids, names, commands. */
export function foreignWords() {
  const same = "noscript, [dir=ltr], [lang=en], bdi, code, kbd, time, option[lang], .code, .brand, .menu, svg.matrix";
  const own = `${decodeURIComponent(location.hash)} infra-red`.split(/[^a-z-]+/i);
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.closest(same)) continue;
    const text = node.textContent.replace(/i247( [a-z-]+)+/gi, "").trim();
    if ((text.match(/[a-z][a-z-]{3,}/g) ?? []).some((word) => !own.some((one) => one.includes(word.replace(/-+$/, ""))))) found.add(text.slice(0, 80));
  }
  return [...found];
}

/** Texts for which there is no room where they stand, and which are not shortened on purpose. */
export function cutOff() {
  const all = [...document.querySelectorAll("h1, h2, th, td, dt, dd, button, label, .says, .rows li, .panel header")];
  const isCut = (one) => {
    const style = getComputedStyle(one);
    const hides = style.overflowX !== "visible" && style.textOverflow !== "ellipsis";
    // What is there for screen readers alone is one pixel wide.
    return hides && one.clientWidth > 1 && one.scrollWidth > one.clientWidth + 1;
  };
  return all.filter(isCut).map((one) => one.textContent.trim().slice(0, 40));
}
