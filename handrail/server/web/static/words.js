// Strings of the catalogue, as the server put them on the page.

const words = JSON.parse(document.getElementById("words").textContent);

export function t(name, values = {}) {
  return (words[name] ?? name).replace(/\{(\w+)\}/g, (_, key) => String(values[key] ?? ""));
}

export function has(name) {
  return name in words;
}

// A length of time in µs, rounded to what matters. The server does the same in words.py.
export function span(us) {
  const seconds = Math.floor(Math.abs(us) / 1e6);
  if (seconds < 90) return t("span.seconds", { n: seconds });
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return t("span.minutes", { n: minutes });
  const hours = Math.floor(minutes / 60);
  if (hours < 48) {
    const rest = minutes % 60;
    return t(rest ? "span.hours_minutes" : "span.hours", { h: hours, m: rest });
  }
  const rest = hours % 24;
  return t(rest ? "span.days_hours" : "span.days", { d: Math.floor(hours / 24), h: rest });
}
