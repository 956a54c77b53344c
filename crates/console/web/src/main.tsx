// Draws the console into the page.
import { render } from "preact";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/live.css";
import "./styles/narrow.css";
import { App } from "./app";

const root = document.getElementById("app");
if (root) render(<App />, root);
