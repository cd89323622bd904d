// The page of one node: topics, their splits on a time axis, the watermark, and an attribute over event time.
// Everything shown comes from the public HTTP API; the address bar keeps what is chosen.

const REFRESH_MS = 2000;
const POINTS_WANTED = 400;
const WINDOWS = [["1s", 1e3], ["10s", 1e4], ["1m", 6e4], ["5m", 3e5], ["15m", 9e5], ["1h", 36e5], ["6h", 216e5], ["1d", 864e5], ["7d", 6048e5]];
const SUMMABLE = new Set(["long", "double", "timestamp"]);

const at = (id) => document.getElementById(id);
const chosen = { topic: null, attribute: "", every: "", range: null };
let topics = [];
let plot = null;
let drawn = "";

const number = (value) => value.toLocaleString("en-US");
const moment = (ms) => ms === null ? "none yet" : new Date(ms).toISOString().replace("T", " ").replace(/\.000Z$/, "Z");
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

async function ask(path) {
  const answer = await fetch(`/api/v1${path}`, { headers: { Accept: "application/json" } });
  const body = await answer.json();
  if (!answer.ok) throw new Error(`${body.title}: ${body.detail}`);
  return body;
}

function element(tag, content, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = content;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function remember() {
  const parts = new URLSearchParams();
  for (const name of ["topic", "attribute", "every"]) if (chosen[name]) parts.set(name, chosen[name]);
  if (chosen.range) parts.set("range", chosen.range.join(","));
  history.replaceState(null, "", `#${parts}`);
}

function recall() {
  const parts = new URLSearchParams(location.hash.slice(1));
  for (const name of ["topic", "attribute", "every"]) chosen[name] = parts.get(name) ?? "";
  chosen.range = parts.get("range")?.split(",").map(Number) ?? null;
}

const countOf = (topic) => topic.offsets.reduce((sum, [start, end]) => sum + end - start, 0);

function showTopics() {
  at("no-topics").hidden = topics.length > 0;
  at("topics").replaceChildren(...topics.map((topic) => {
    const button = element("button", topic.name, { type: "button", "aria-current": String(topic.name === chosen.topic) });
    button.append(element("small", number(countOf(topic))));
    button.onclick = () => { Object.assign(chosen, { topic: topic.name, attribute: "", every: "", range: null }); refresh(); };
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

function showFacts(topic, watermark) {
  const facts = [
    ["records", number(countOf(topic))], ["partitions", topic.partitions], ["watermark", moment(watermark.watermark)],
    ["ticks", number(watermark.tick)], ["late", number(watermark.late_count)],
    ["schema", topic.schema ? Object.entries(topic.schema).map(([name, kind]) => `${name} ${kind}`).join(", ") : "none"],
  ];
  at("facts").replaceChildren(...facts.map(([name, value]) => {
    const pair = document.createElement("div");
    pair.append(element("dt", name), element("dd", value));
    return pair;
  }));
}

function svg(tag, attributes, content = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = content;
  return made;
}

function bounds(splits) {
  const dated = splits.filter((split) => split.first_ms !== null);
  if (!dated.length) return null;
  const first = Math.min(...dated.map((split) => split.first_ms));
  const last = Math.max(...dated.map((split) => split.last_ms));
  return [first, Math.max(last + 1, first + 1000)];
}

function showSplits(splits, watermark) {
  const span = bounds(splits);
  if (!span) return at("splits").replaceChildren(element("p", "No events yet.", { class: "hint" }));
  const width = 1000, row = 16, dated = splits.filter((split) => split.first_ms !== null);
  const x = (ms) => 8 + (width - 16) * (ms - span[0]) / (span[1] - span[0]);
  const height = dated.length * row + 30;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "time splits" });
  dated.forEach((split, line) => {
    const bar = svg("rect", {
      class: `split ${split.state}`, x: x(split.first_ms), y: 6 + line * row, height: row - 4, rx: 2,
      width: Math.max(3, x(split.last_ms) - x(split.first_ms)),
    });
    bar.append(svg("title", {}, `split ${split.number}, ${split.state}: ${number(split.count)} events, ${number(split.bytes)} bytes\n${moment(split.first_ms)} to ${moment(split.last_ms)}`));
    picture.append(bar);
  });
  if (watermark.watermark !== null && watermark.watermark >= span[0]) {
    const place = Math.min(x(watermark.watermark), width - 8);
    picture.append(svg("line", { class: "watermark", x1: place, x2: place, y1: 2, y2: height - 20 }));
  }
  picture.append(svg("text", { x: 8, y: height - 6 }, moment(span[0])));
  picture.append(svg("text", { x: width - 8, y: height - 6, "text-anchor": "end" }, moment(span[1] - 1)));
  at("splits").replaceChildren(picture);
}

function offer(select, options, value) {
  const wanted = options.map(([name]) => name).join();
  if (select.dataset.offered !== wanted) {
    select.dataset.offered = wanted;
    select.replaceChildren(...options.map(([name, text]) => element("option", text, { value: name })));
  }
  select.value = value;
}

function fitting(span) {
  return (WINDOWS.find(([, ms]) => (span[1] - span[0]) / ms <= POINTS_WANTED) ?? WINDOWS.at(-1))[0];
}

async function showPlot(topic, splits, watermark) {
  const numeric = Object.entries(topic.schema ?? {}).filter(([, kind]) => SUMMABLE.has(kind)).map(([name]) => name);
  if (!numeric.includes(chosen.attribute)) chosen.attribute = (topic.aggregates[0] ?? numeric[0]) ?? "";
  offer(at("attribute"), [["", "events"], ...numeric.map((name) => [name, name])], chosen.attribute);
  const whole = bounds(splits);
  const span = chosen.range ?? whole;
  if (!span) return at("plot").replaceChildren();
  offer(at("every"), [["", `fitting (${fitting(span)})`], ...WINDOWS.map(([name]) => [name, name])], chosen.every);
  const every = chosen.every || fitting(span), name = chosen.attribute;
  const agg = name ? `count,mean(${name}),min(${name}),max(${name})` : "count";
  const query = new URLSearchParams({ from: Math.floor(span[0]), to: Math.ceil(span[1]), every, agg });
  const path = `/topics/${encodeURIComponent(topic.name)}/aggregate?${query}`;
  // Nothing to draw again while neither the question nor the data has changed.
  const state = [path, countOf(topic), watermark.tick, at("plot").clientWidth].join();
  if (state === drawn) return;
  const { rows, meta } = await ask(path);
  drawn = state;
  const times = rows.map((row) => row.window_start / 1000);
  const column = (title) => rows.map((row) => row[title]);
  const data = name ? [times, column(`min(${name})`), column(`max(${name})`), column(`mean(${name})`), column("count")] : [times, column("count")];
  draw(name, data);
  const read = Object.entries(meta.plan).map(([what, count]) => `${what} ${count}`).join(", ");
  at("asked").textContent = `GET /api/v1${path} — ${number(rows.length)} windows; read: ${read}`;
}

function draw(name, data) {
  const line = (label, color, more = {}) => ({ label, stroke: color, width: 1.5, spanGaps: false, points: { show: false }, ...more });
  const axis = { stroke: css("--quiet"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line") } };
  const values = name ? [
    line(`min ${name}`, css("--quiet"), { width: 1 }), line(`max ${name}`, css("--quiet"), { width: 1 }),
    line(`mean ${name}`, css("--historic")), line("events", css("--open"), { scale: "n", width: 1 }),
  ] : [line("events", css("--open"), { scale: "n" })];
  const axes = [axis];
  if (name) axes.push({ ...axis, scale: "y" });
  axes.push({ ...axis, scale: "n", side: name ? 1 : 3, grid: { show: !name }, size: 60 });
  plot?.destroy();
  plot = new uPlot({
    width: at("plot").clientWidth - 14, height: 320, tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "UTC"),
    series: [{ value: (_, ts) => ts === null ? "" : moment(ts * 1000) }, ...values], axes,
    bands: name ? [{ series: [2, 1], fill: `${css("--historic")}22` }] : [],
    hooks: { setSelect: [(u) => {
      if (u.select.width < 4) return;
      chosen.range = [u.posToVal(u.select.left, "x") * 1000, u.posToVal(u.select.left + u.select.width, "x") * 1000].map(Math.round);
      refresh();
    }] },
    cursor: { drag: { setScale: false } },
  }, data, at("plot"));
  at("plot").dataset.points = data[0].length;
}

let isBusy = false, isAskedAgain = false;
async function refresh() {
  isAskedAgain = isBusy;
  if (isBusy) return;
  isBusy = true;
  try {
    ({ topics } = await ask("/topics"));
    if (!topics.some((topic) => topic.name === chosen.topic)) chosen.topic = topics[0]?.name ?? null;
    showTopics();
    remember();
    const topic = topics.find((one) => one.name === chosen.topic);
    at("topic").hidden = !topic;
    if (topic) {
      at("name").textContent = topic.name;
      const path = `/topics/${encodeURIComponent(topic.name)}`;
      const [{ splits }, watermark] = await Promise.all([ask(`${path}/splits`), ask(`${path}/watermark`)]);
      showFacts(topic, watermark);
      showSplits(splits, watermark);
      await showPlot(topic, splits, watermark);
    }
    at("problem").textContent = "";
  } catch (error) {
    at("problem").textContent = error.message;
  } finally {
    isBusy = false;
    if (isAskedAgain) refresh();
  }
}

async function start() {
  recall();
  at("attribute").onchange = (event) => { chosen.attribute = event.target.value; drawn = ""; refresh(); };
  at("every").onchange = (event) => { chosen.every = event.target.value; refresh(); };
  at("whole").onclick = () => { chosen.range = null; refresh(); };
  at("choice").onsubmit = (event) => event.preventDefault();
  addEventListener("hashchange", () => { recall(); refresh(); });
  addEventListener("resize", () => refresh());
  const node = await (await fetch("/health/live")).json();
  at("node").textContent = `node ${node.node_id}, cluster ${node.cluster_id}`;
  await refresh();
  setInterval(() => { if (!document.hidden) refresh(); }, REFRESH_MS);
}

start();
