// An attribute over event time: mean with the band from least to greatest, and below it the events per window.

import { LEFT, RIGHT } from "./splits.js";
import { marks } from "./time.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 2 });

let plots = [];

export function clearPlot(place, text = "") {
  for (const plot of plots) plot.destroy();
  plots = [];
  place.dataset.points = 0;
  place.replaceChildren(Object.assign(document.createElement("p"), { className: "empty quiet", textContent: text }));
}

/** `rows` as the API gave them; `span` is what the axis shows; `pick` is told a dragged range, `read` the row under the pointer. */
export function drawPlot(place, { rows, name, span, watermark, pick, read }) {
  clearPlot(place);
  place.replaceChildren();
  const times = rows.map((row) => row.window_start / 1000);
  const column = (title) => rows.map((row) => row[title]);
  const width = place.clientWidth;
  const quiet = css("--quiet"), font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const lines = { stroke: css("--line"), width: 1 };
  const axis = { stroke: quiet, font, grid: lines, ticks: { ...lines, size: 5 } };
  const count = Math.max(2, Math.floor((width - LEFT - RIGHT) / 90));
  const timeAxis = (isShown) => ({
    ...axis, size: isShown ? 34 : 0,
    splits: () => marks(span[0], span[1], count).map(({ at }) => at / 1000),
    // A text that would reach over the right edge is left out.
    values: () => isShown ? marks(span[0], span[1], count).map(({ at, text }) => (span[1] - at) / (span[1] - span[0]) * width > 22 ? text : "") : [],
    ticks: { ...lines, size: isShown ? 5 : 0 },
  });
  const valueAxis = (more) => ({ ...axis, size: LEFT, values: (_, all) => all.map((value) => short.format(value)), ...more });
  const openEnd = (u) => {
    // Windows behind the watermark may still change.
    const at = u.valToPos(Math.max(span[0], watermark === null ? span[0] : watermark + 1) / 1000, "x", true);
    const { left, top, width: wide, height } = u.bbox;
    if (at < left + wide) {
      u.ctx.fillStyle = css("--unsettled");
      u.ctx.fillRect(Math.max(at, left), top, left + wide - Math.max(at, left), height);
    }
  };
  const shared = {
    width, legend: { show: false }, tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "UTC"),
    padding: [10, RIGHT, 0, 0],
    cursor: { sync: { key: "time" }, drag: { setScale: false, x: true, y: false }, points: { size: 6 } },
    hooks: {
      drawClear: [openEnd],
      setCursor: [(u) => read(u.cursor.idx === null || u.cursor.left < 0 ? null : rows[u.cursor.idx])],
      setSelect: [(u) => {
        if (u.select.width < 4) return;
        const at = (pixel) => Math.round(u.posToVal(pixel, "x") * 1000);
        pick([at(u.select.left), at(u.select.left + u.select.width)]);
      }],
    },
  };
  const x = { time: true, range: [span[0] / 1000, span[1] / 1000] };
  if (name) {
    const line = (color, more) => ({ stroke: color, width: 1.75, points: { show: times.length < 60, size: 5 }, ...more });
    const band = { stroke: "transparent", width: 0, points: { show: false } };
    plots.push(new uPlot({
      ...shared, height: 250, scales: { x }, axes: [timeAxis(false), valueAxis()],
      series: [{}, { ...band }, { ...band }, line(css("--historic"))],
      bands: [{ series: [2, 1], fill: css("--band") }],
    }, [times, column(`min(${name})`), column(`max(${name})`), column(`mean(${name})`)], place));
  }
  plots.push(new uPlot({
    ...shared, height: name ? 120 : 300,
    scales: { x, y: { range: (_, __, most) => [0, Math.max(1, most * 1.08)] } },
    axes: [timeAxis(true), valueAxis({ space: 34, incrs: [1, 2, 5].flatMap((n) => [...Array(9).keys()].map((p) => n * 10 ** p)).sort((a, b) => a - b) })],
    series: [{}, { stroke: css("--open"), fill: css("--open-soft"), width: 1, points: { show: false }, paths: uPlot.paths.bars({ size: [0.85, 60], align: 1 }) }],
  }, [times, column("count")], place));
  place.dataset.points = rows.length;
}
