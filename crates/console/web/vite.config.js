import { defineConfig } from "vite";

// Everything as files of this server: nothing inline (the console's content security policy refuses it), no other host.
export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
  },
});
