// The time splits of a topic as bars on a time axis, with the watermark and the part that the plot shows.

import { marks, moment } from "./time.js";

export const LEFT = 62, RIGHT = 14; // of every time axis on the page, so that they stand below each other
const ROW = 20, GAP = 4, LANES_MAX = 6, AXIS = 24;

function svg(tag, attributes, content = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = content;
  return made;
}

export function bounds(splits) {
  const dated = splits.filter((split) => split.last_ms !== null);
  if (!dated.length) return null;
  const first = Math.min(...dated.map((split) => split.first_ms ?? split.last_ms));
  const last = Math.max(...dated.map((split) => split.last_ms));
  return [first, Math.max(last + 1, first + 1000)];
}

/** Which lane each split gets: the first that is free where it begins; the last one when there are too many. */
function lanesOf(splits, isFree) {
  const ends = [];
  return splits.map((split) => {
    let lane = ends.findIndex((end) => isFree(end, split));
    if (lane < 0) lane = Math.min(ends.length, LANES_MAX - 1);
    ends[lane] = Math.max(ends[lane] ?? -Infinity, split.last_ms);
    return lane;
  });
}

export function drawSplits(place, { splits, watermark, range, pick }) {
  const span = bounds(splits);
  if (!span) {
    place.replaceChildren(Object.assign(document.createElement("p"), { className: "empty quiet", textContent: "No events yet." }));
    return;
  }
  const width = place.clientWidth, inner = width - LEFT - RIGHT;
  const x = (ms) => LEFT + inner * Math.min(1, Math.max(0, (ms - span[0]) / (span[1] - span[0])));
  const dated = splits.filter((split) => split.last_ms !== null);
  const lanes = lanesOf(dated, (end, split) => x(split.first_ms ?? split.last_ms) - x(end) > 2);
  const bottom = 10 + (Math.max(...lanes) + 1) * (ROW + GAP);
  const height = bottom + AXIS;
  const picture = svg("svg", { width, height, role: "img", "aria-label": `${dated.length} time splits` });
  for (const { at, text } of marks(span[0], span[1], Math.max(2, Math.floor(inner / 90)))) {
    picture.append(svg("line", { class: "grid", x1: x(at), x2: x(at), y1: 6, y2: bottom }));
    const isLast = x(at) > width - 60;
    picture.append(svg("text", { x: x(at), y: height - 8, "text-anchor": isLast ? "end" : "middle" }, text));
  }
  dated.forEach((split, number) => {
    const first = split.first_ms ?? split.last_ms;
    const bar = svg("g", { class: `split ${split.state}`, tabindex: 0, role: "button" });
    const left = x(first), wide = Math.max(3, x(split.last_ms) - left), top = 8 + lanes[number] * (ROW + GAP);
    bar.append(svg("title", {}, `split ${split.number}, ${split.state}: ${split.count.toLocaleString("en-US")} events\n${moment(split.first_ms)} to ${moment(split.last_ms)}`));
    bar.append(svg("rect", { x: left, y: top, width: wide, height: ROW, rx: 3 }));
    const label = wide > 150 ? `${split.number} · ${split.count.toLocaleString("en-US")} events` : wide > 26 ? String(split.number) : "";
    if (label) bar.append(svg("text", { x: left + 7, y: top + 14 }, label));
    const choose = () => pick([first, split.last_ms + 1]);
    bar.addEventListener("click", choose);
    bar.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(); });
    picture.append(bar);
  });
  if (range) {
    const left = x(range[0]), wide = Math.max(2, x(range[1]) - left);
    picture.append(svg("rect", { class: "shown", x: left, y: 3, width: wide, height: bottom - 4, rx: 3 }));
  }
  if (watermark.watermark !== null && watermark.watermark >= span[0]) {
    const at = x(watermark.watermark);
    picture.append(svg("line", { class: "watermark", x1: at, x2: at, y1: 2, y2: bottom }));
    picture.append(svg("path", { class: "watermark", d: `M${at - 5} 0h10l-5 7z` }));
  }
  place.replaceChildren(picture);
}
