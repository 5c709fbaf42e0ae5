/** Times as people say them. */

const DAY = 86_400_000;

/** @param {Date} time */
export function clock(time) {
  return time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** @param {Date} time */
export function full(time) {
  return time.toLocaleString([], { dateStyle: "full", timeStyle: "medium" });
}

/** The day, as it stands between messages. @param {Date} time */
export function day(time) {
  const ago = daysAgo(time);
  if (ago === 0) return "Today";
  if (ago === 1) return "Yesterday";
  const year = time.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return time.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year });
}

/** As short as possible, for a list. @param {Date} time */
export function brief(time) {
  const ago = daysAgo(time);
  if (ago === 0) return clock(time);
  if (ago > 0 && ago < 7) return time.toLocaleDateString([], { weekday: "short" });
  return time.toLocaleDateString([], { day: "numeric", month: "short" });
}

function daysAgo(time) {
  return Math.round((midnight(new Date()) - midnight(time)) / DAY);
}

function midnight(time) {
  return new Date(time).setHours(0, 0, 0, 0);
}
