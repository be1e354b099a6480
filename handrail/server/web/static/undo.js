// The bar that takes the last verdict back while its undo time runs.

import { now } from "./clock.js";
import { alarm, say } from "./say.js";
import { Problem, post } from "./send.js";
import { span, t } from "./words.js";

const stack = [];
let bar = null;
let undone = () => {};

export function onUndone(call) {
  undone = call;
}

// A verdict that can be taken back until `until` (µs).
export function offer(review, verdict, what, until) {
  stack.push({ review, text: t("undo.said", { verdict: t(`verdict.${verdict}`), what }), until });
  paint();
}

function paint() {
  while (stack.length && stack.at(-1).until <= now()) stack.pop();
  const last = stack.at(-1);
  bar.hidden = !last;
  if (!last) return;
  const said = bar.querySelector("[data-said]");
  if (said.textContent !== last.text) said.textContent = last.text;
  bar.querySelector("[data-until]").textContent = t("undo.left", { span: span(last.until - now() + 999_999) });
}

export async function undo() {
  paint();
  const last = stack.pop();
  if (!last) {
    say(t("nothing_to_undo"));
    return;
  }
  paint();
  try {
    await post(`/reviews/${last.review}/undo`, {});
    alarm("");
    say(t("taken_back"));
    undone(last.review);
  } catch (error) {
    alarm(error instanceof Problem ? error.message : t("unsure"));
  }
}

export function startUndo() {
  bar = document.getElementById("undo");
  if (!bar.hidden) {
    const review = bar.action.split("/").at(-2);
    const text = bar.querySelector("[data-said]").textContent;
    stack.push({ review, text, until: Number(bar.querySelector("[data-until]").dataset.until) });
  }
  bar.addEventListener("submit", (event) => {
    event.preventDefault();
    undo();
  });
  setInterval(paint, 250);
  paint();
}
