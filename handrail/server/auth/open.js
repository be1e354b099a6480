// The link was opened by a person at this machine: go on without a further press. A page that the
// browser only loads ahead waits until it is looked at.
const form = document.getElementById("open");
const go = () => form.requestSubmit();
if (document.prerendering) document.addEventListener("prerenderingchange", go, { once: true });
else if (document.visibilityState === "visible") go();
else document.addEventListener("visibilitychange", go, { once: true });
