// Passed, requests, doubts: read again when something happened, unless somebody is writing there.

import { paintTimes } from "./clock.js";
import { watch } from "./live.js";
import { fetchPage } from "./send.js";

export function startList() {
  watch(async () => {
    const main = document.getElementById("main");
    if (main.contains(document.activeElement) || main.querySelector("details.drop[open]")) return;
    let page;
    try {
      page = await fetchPage(location.pathname);
    } catch {
      return;
    }
    main.replaceChildren(...page.getElementById("main").childNodes);
    paintTimes(main);
  });
}
