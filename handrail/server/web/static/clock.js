// Deadlines that run, and moments in the reader's own time.

import { span, t } from "./words.js";

// The server's clock rules; this one may be off. Both are µs since 1970.
const ahead = Number(document.body.dataset.now) - Date.now() * 1000;

export function now() {
  return Date.now() * 1000 + ahead;
}

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export function told(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? text : moment.format(at);
}

export function paintTimes(root = document) {
  for (const time of root.querySelectorAll("time:not([title])")) {
    time.title = time.textContent;
    time.textContent = told(time.dateTime);
  }
  for (const due of root.querySelectorAll("[data-due]")) {
    const left = Number(due.dataset.due) - now();
    const text = left > 0 ? t("due.in", { span: span(left) }) : t("due.over", { span: span(-left) });
    if (due.textContent !== text) due.textContent = text;
    due.classList.toggle("over", left <= 0);
  }
}

export function startClock() {
  paintTimes();
  setInterval(paintTimes, 1000);
}
