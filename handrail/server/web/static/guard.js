// Which presses count: nothing decides that a person did not mean.
//
// A decision counts only on a card that has been in view for 300 ms and whose key facts were all in
// view. A key that repeats by itself never counts, and one that was held down while the card came
// has to be let go first.

const SETTLE = 300;

export class Guard {
  #painted = null;
  #unseen = new Set();
  #held = new Map(); // key → the event of its first press
  #observer = null;

  constructor() {
    addEventListener("keydown", (event) => {
      if (!event.repeat && !this.#held.has(event.code)) this.#held.set(event.code, event);
    }, { capture: true });
    addEventListener("keyup", (event) => this.#held.delete(event.code));
    addEventListener("blur", () => this.#held.clear());
    document.addEventListener("visibilitychange", () => this.#restart());
  }

  // A card was put on the page: from its second frame on it counts as painted.
  show(card) {
    this.#painted = null;
    this.#unseen = new Set();
    this.#observer?.disconnect();
    this.#observer = new IntersectionObserver((seen) => {
      for (const entry of seen) {
        if (entry.isIntersecting) {
          this.#unseen.delete(entry.target);
          this.#observer.unobserve(entry.target);
        }
      }
    }, { rootMargin: this.#margin() });
    for (const part of card.querySelectorAll("[data-key]")) {
      for (const edge of [part.firstElementChild, part.querySelector(":scope > .edge")]) {
        if (edge) {
          this.#unseen.add(edge);
          this.#observer.observe(edge);
        }
      }
    }
    this.#restart();
  }

  hide() {
    this.#painted = null;
    this.#observer?.disconnect();
  }

  // What the bar of buttons covers is not in view.
  #margin() {
    const bar = document.querySelector(".acts");
    return `0px 0px -${bar && getComputedStyle(bar).position === "fixed" ? bar.offsetHeight : 0}px 0px`;
  }

  #restart() {
    this.#painted = null;
    document.body.dataset.painted = "";
    if (document.visibilityState !== "visible") return;
    requestAnimationFrame(() => requestAnimationFrame(() => {
      this.#painted = performance.now();
      document.body.dataset.painted = String(Math.round(this.#painted));
    }));
  }

  // Whether a key press is one a person made just now.
  fresh(event) {
    return !event.repeat && !event.isComposing && this.#held.get(event.code) === event;
  }

  get settled() {
    return this.#painted !== null && performance.now() - this.#painted >= SETTLE;
  }

  // The first part that was not in view yet; null where all of it was.
  get unseen() {
    return this.#unseen.values().next().value ?? null;
  }

  get seconds() {
    return this.#painted === null ? null : (performance.now() - this.#painted) / 1000;
  }
}
