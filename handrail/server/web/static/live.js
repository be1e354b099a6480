// What happens, as it happens: ids and types from the log, never content.

import { say } from "./say.js";
import { t } from "./words.js";

const QUIET = 150; // ms in which events are gathered
const REST = 1000; // ms between two calls, however much happens
const AGAIN = 2000; // ms after which a stream that was refused is asked for again; it doubles
const SELDOM = 60_000; // ms, at most

// Calls `changed` with the events of a short while at once.
export function watch(changed) {
  let waiting = [];
  let timer = null;
  let lost = false;
  let last = -REST;
  let seen = Number(document.body.dataset.index) - 1;
  let source = null;
  let pause = AGAIN;
  const heard = (message) => {
    if (message.lastEventId) seen = Number(message.lastEventId);
    waiting.push(JSON.parse(message.data));
    timer ??= setTimeout(() => {
      const events = waiting;
      waiting = [];
      timer = null;
      last = performance.now();
      changed(events);
    }, Math.max(QUIET, last + REST - performance.now()));
  };
  const connect = () => {
    source = new EventSource(seen < 0 ? "/api/v1/stream" : `/api/v1/stream?after=${seen}`);
    source.onmessage = heard;
    // Too much happened to tell it all: the page is read again.
    source.addEventListener("reset", (message) => heard({ data: `{"type": "review.", "of": ${message.data}}` }));
    source.onopen = () => {
      document.body.dataset.live = "on";
      if (lost) say(t("live_on"));
      lost = false;
      pause = AGAIN;
    };
    source.onerror = () => {
      document.body.dataset.live = "off";
      if (!lost && document.visibilityState === "visible") say(t("live_off"));
      lost = true;
      // A browser tries again by itself, but gives up on an answer that is no stream: a proxy's
      // while the server starts, or that of a server which does not know the session any more.
      if (source.readyState === EventSource.CLOSED) {
        setTimeout(connect, pause);
        pause = Math.min(2 * pause, SELDOM);
      }
    };
  };
  connect();
  addEventListener("pagehide", () => source.close());
}
