// The two charts of the side bar, drawn as SVG at the width that there is. Each has a title, axes with names, and its
// values as text; nothing is shown by colour alone. Knows nothing of where the figures come from.
import { decimal, percentOf } from "../words";
import { h, s } from "./dom";

export interface LossPoint {
  version: string;
  before: number;
  after: number;
  used: boolean;
}

export interface Share {
  name: string;
  shown: number;
  accepted: number;
}

const LEFT = 34;
const RIGHT = 8;
const TOP = 16;
/** Room below the plot: for a value that stands under its mark, the axis' marks and its name. */
const BOTTOM = 46;
const HEIGHT = 162;

/** Held-out loss before (ring) and after (dot or cross) each version was trained. */
export function lossChart(all: LossPoint[], width: number): HTMLElement {
  const room = Math.max(2, Math.floor((width - LEFT - RIGHT) / 34));
  const points = all.slice(-room);
  const values = points.flatMap(({ before, after }) => [before, after]);
  const scale = linear(Math.min(...values), Math.max(...values));
  const x = (index: number): number => LEFT + ((width - LEFT - RIGHT) * (index + 0.5)) / points.length;
  const y = (value: number): number => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - scale.low) / (scale.high - scale.low));
  const described = points.map((point) => `version ${point.version}: ${decimal(point.before)} before, ${decimal(point.after)} after${point.used ? "" : ", not used"}`);
  const chart = s("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `Held-out loss by version. ${described.join("; ")}` });
  for (const tick of scale.ticks) {
    chart.append(
      s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }),
      s("text", { class: "tick", x: LEFT - 5, y: y(tick) + 4, "text-anchor": "end" }, decimal(tick, scale.digits)),
    );
  }
  points.forEach((point, index) => {
    const at = x(index);
    const one = s("g", { class: point.used ? "used" : "unused" }, s("title", {}, described[index]));
    one.append(s("line", { class: "change", x1: at, x2: at, y1: y(point.before), y2: y(point.after) }), s("circle", { class: "before", cx: at, cy: y(point.before), r: 4 }));
    const there = y(point.after);
    if (point.used) one.append(s("circle", { class: "after", cx: at, cy: there, r: 4.5 }));
    else one.append(s("path", { class: "after", d: `M${at - 4} ${there - 4}l8 8m0 -8l-8 8` }));
    // The value stands beyond the mark, away from the line.
    if (points.length <= room / 1.3 || points.length <= 4) {
      const below = point.after <= point.before;
      one.append(s("text", { class: "value", x: at, y: there + (below ? 16 : -9), "text-anchor": "middle" }, decimal(point.after)));
    }
    one.append(s("text", { class: "tick", x: at, y: HEIGHT - BOTTOM + 30, "text-anchor": "middle" }, point.version));
    chart.append(one);
  });
  chart.append(s("text", { class: "axis", x: LEFT + (width - LEFT - RIGHT) / 2, y: HEIGHT - 3, "text-anchor": "middle" }, "version"));
  const hidden = all.length - points.length;
  return h(
    "figure",
    { id: "chart-loss" },
    h("figcaption", {}, "Loss on code it had not seen (lower is better)"),
    chart,
    h("p", { class: "legend" }, "○ before  ● after", points.some((point) => !point.used) ? "  ✕ not used" : "", hidden ? `; the last ${points.length} of ${all.length}` : ""),
  );
}

/** Accepted of shown, one bar for each version. */
export function acceptanceChart(shares: Share[]): HTMLElement {
  const most = Math.max(...shares.map(rate), 0.01);
  const rows = shares.map((share) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, share.name),
      h("td", { class: "bar" }, bar(rate(share) / most)),
      h("td", { class: "number", title: `${share.accepted} of ${share.shown}` }, `${percentOf(rate(share))} of ${share.shown}`),
    ),
  );
  return h(
    "figure",
    { id: "chart-acceptance" },
    h("figcaption", {}, "Suggestions accepted, by version"),
    h("table", { class: "bars" }, h("thead", { class: "hidden" }, h("tr", {}, h("th", {}, "version"), h("th", {}, "bar"), h("th", {}, "accepted of shown"))), h("tbody", {}, ...rows)),
  );
}

function bar(fraction: number): SVGElement {
  return s("svg", { width: "100%", height: 10, "aria-hidden": "true" }, s("rect", { class: "bar", width: `${Math.max(1, fraction * 100)}%`, height: 10, rx: 2 }));
}

/** Accepted of shown, day by day. */
export function daysChart(days: Share[], width: number): HTMLElement {
  const rates = days.map(rate);
  const high = Math.max(0.1, Math.ceil(Math.max(...rates) * 10) / 10);
  const x = (index: number): number => LEFT + 6 + ((width - LEFT - RIGHT - 12) * index) / (days.length - 1);
  const y = (value: number): number => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / high);
  const first = days[0];
  const last = days.at(-1);
  const label = `Share of suggestions accepted by day, from ${first?.name} (${percentOf(rates[0] ?? 0)}) to ${last?.name} (${percentOf(rates.at(-1) ?? 0)}), at most ${percentOf(Math.max(...rates))}`;
  const chart = s("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label });
  for (const tick of [0, high / 2, high]) {
    chart.append(
      s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }),
      s("text", { class: "tick", x: LEFT - 5, y: y(tick) + 4, "text-anchor": "end" }, percentOf(tick)),
    );
  }
  chart.append(s("polyline", { class: "line", points: rates.map((value, index) => `${x(index)},${y(value)}`).join(" ") }));
  days.forEach((day, index) => {
    chart.append(s("circle", { class: "after", cx: x(index), cy: y(rates[index] ?? 0), r: days.length > 30 ? 2 : 3.5 }, s("title", {}, `${day.name}: ${day.accepted} of ${day.shown} accepted`)));
  });
  const under = HEIGHT - BOTTOM + 26;
  chart.append(
    s("text", { class: "tick", x: x(0) - 6, y: under, "text-anchor": "start" }, shortDay(first?.name)),
    s("text", { class: "tick", x: x(days.length - 1) + 6, y: under, "text-anchor": "end" }, shortDay(last?.name)),
    s("text", { class: "axis", x: LEFT + (width - LEFT - RIGHT) / 2, y: HEIGHT - 3, "text-anchor": "middle" }, "day"),
  );
  return h("figure", { id: "chart-days" }, h("figcaption", {}, "Suggestions accepted, by day"), chart);
}

function rate({ shown, accepted }: Share): number {
  return shown > 0 ? accepted / shown : 0;
}

function shortDay(day: string | undefined): string {
  const at = day ? new Date(`${day}T12:00:00Z`) : null;
  return at && !Number.isNaN(at.getTime()) ? at.toLocaleDateString(undefined, { day: "numeric", month: "short" }) : (day ?? "");
}

/** Round ticks, two to five of them, around the values. */
function linear(low: number, high: number): { low: number; high: number; ticks: number[]; digits: number } {
  const span = Math.max(high - low, 0.05);
  const step = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5].find((size) => span / size <= 3) ?? 10;
  const bottom = Math.floor(low / step) * step;
  const top = Math.max(Math.ceil(high / step) * step, bottom + step);
  const ticks: number[] = [];
  for (let tick = bottom; tick <= top + step / 2; tick += step) ticks.push(tick);
  return { low: bottom, high: top, ticks, digits: step < 0.1 ? 2 : 1 };
}
