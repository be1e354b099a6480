// What happens, as it happens: ids and types from the log, never content.

import { say } from "./say.js";
import { t } from "./words.js";

const QUIET = 150; // ms in which events are gathered
const REST = 1000; // ms between two calls, however much happens

// Calls `changed` with the events of a short while at once.
export function watch(changed) {
  let waiting = [];
  let timer = null;
  let lost = false;
  let last = -REST;
  const seen = Number(document.body.dataset.index) - 1;
  const source = new EventSource(seen < 0 ? "/api/v1/stream" : `/api/v1/stream?after=${seen}`);
  const heard = (message) => {
    waiting.push(JSON.parse(message.data));
    timer ??= setTimeout(() => {
      const events = waiting;
      waiting = [];
      timer = null;
      last = performance.now();
      changed(events);
    }, Math.max(QUIET, last + REST - performance.now()));
  };
  source.onmessage = heard;
  // Too much happened to tell it all: the page is read again.
  source.addEventListener("reset", (message) => heard({ data: `{"type": "review.", "of": ${message.data}}` }));
  source.onopen = () => {
    document.body.dataset.live = "on";
    if (lost) say(t("live_on"));
    lost = false;
  };
  source.onerror = () => {
    document.body.dataset.live = "off";
    if (!lost && document.visibilityState === "visible") say(t("live_off"));
    lost = true;
  };
  addEventListener("pagehide", () => source.close());
}
