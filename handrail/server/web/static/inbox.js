// The inbox: J and K move, Enter opens, the list keeps itself right.

import { paintTimes } from "./clock.js";
import { helpOpen, keysOn, typing } from "./help.js";
import { watch } from "./live.js";
import { say } from "./say.js";
import { fetchPage } from "./send.js";
import { onUndone, undo } from "./undo.js";
import { t } from "./words.js";

export function startInbox() {
  addEventListener("keydown", (event) => {
    if (typing(event) || helpOpen() || !keysOn()) return;
    const key = event.key.toLowerCase();
    if (key === "j" || key === "arrowdown") move(1, event);
    else if (key === "k" || key === "arrowup") move(-1, event);
    else if (key === "z" && !event.repeat) undo();
  });
  onUndone((review) => location.assign(`/reviews/${review}`));
  watch(() => reload());
  addEventListener("pageshow", (event) => {
    if (event.persisted) reload();
  });
}

function move(step, event) {
  const items = [...document.querySelectorAll("#main a.item")].filter((item) => item.offsetParent);
  if (!items.length) return;
  event.preventDefault();
  const at = items.indexOf(document.activeElement);
  items[at < 0 ? (step > 0 ? 0 : items.length - 1) : (at + step + items.length) % items.length].focus();
}

async function reload() {
  let page;
  try {
    page = await fetchPage("/");
  } catch {
    return;
  }
  const main = document.getElementById("main");
  const focused = document.activeElement?.closest?.("[data-review]")?.dataset.review;
  const before = document.getElementById("count").dataset.count;
  main.replaceChildren(...page.getElementById("main").childNodes);
  paintTimes(main);
  const count = document.getElementById("count").dataset.count;
  if (count !== before) say(t("changed", { n: count }));
  if (focused) {
    const same = [...main.querySelectorAll("[data-review]")].find((item) => item.dataset.review === focused);
    (same?.querySelector("a") ?? main).focus({ preventScroll: true });
  }
}
