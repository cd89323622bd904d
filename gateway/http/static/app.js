// The page of one node: topics, their splits on a time axis, the watermark, and an attribute over event time.
// Everything shown comes from the public HTTP API; the address bar keeps what is chosen.

import { clearPlot, drawPlot } from "./plot.js";
import { bounds, drawSplits } from "./splits.js";
import { moment } from "./time.js";

const REFRESH_MS = 2000, SLOW_MS = 250, POINTS_WANTED = 400;
const WINDOWS = [
  ["10ms", 10], ["100ms", 100], ["1s", 1e3], ["10s", 1e4], ["1m", 6e4], ["5m", 3e5], ["15m", 9e5], ["1h", 36e5],
  ["6h", 216e5], ["1d", 864e5], ["7d", 6048e5], ["30d", 2592e6], ["365d", 31536e6],
];
const SUMMABLE = new Set(["long", "double"]);

const at = (id) => document.getElementById(id);
const chosen = { topic: "", attribute: null, every: "", range: null };
let topics = [], shown = "", earliest = { of: "", ms: null };

const number = (value) => value.toLocaleString("en-US", { maximumFractionDigits: 4 });
// A partition without a replica on the node that is asked has no offsets there.
const countOf = (topic) => topic.offsets.reduce((sum, bounds) => sum + (bounds ? bounds[1] - bounds[0] : 0), 0);

async function ask(path) {
  let answer, body;
  try {
    answer = await fetch(path, { headers: { Accept: "application/json" } });
    body = await answer.json();
  } catch {
    throw new Error("The node does not answer. Trying again.");
  }
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
  const parts = new URLSearchParams({ topic: chosen.topic });
  if (chosen.attribute !== null) parts.set("show", chosen.attribute);
  if (chosen.every) parts.set("per", chosen.every);
  if (chosen.range) parts.set("range", chosen.range.join("-"));
  history.replaceState(null, "", chosen.topic ? `#${parts}` : "#");
}

function recall() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const range = parts.get("range")?.split("-").map(Number);
  chosen.topic = parts.get("topic") ?? "";
  chosen.attribute = parts.get("show");
  chosen.every = parts.get("per") ?? "";
  chosen.range = range?.length === 2 && range[0] < range[1] ? range : null;
}

function choose(changes) {
  Object.assign(chosen, changes);
  refresh();
}

function showTopics() {
  at("no-topics").hidden = topics.length > 0;
  at("topics").replaceChildren(...topics.map((topic) => {
    const button = element("button", "", { type: "button", "aria-current": String(topic.name === chosen.topic) });
    button.append(element("span", topic.name), element("small", number(countOf(topic)), { title: "records" }));
    button.onclick = () => choose({ topic: topic.name, attribute: null, every: "", range: null });
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

function showFacts(topic, watermark) {
  const facts = [
    ["records", number(countOf(topic))], ["partitions", number(topic.partitions)], ["watermark", moment(watermark.watermark)],
    ["ticks", number(watermark.tick)], ["late events", number(watermark.late_count)],
  ];
  const schema = document.createElement("div");
  const kinds = Object.entries(topic.schema ?? {}).map(([name, kind]) => element("span", `${name} `, { class: "kind" }));
  Object.values(topic.schema ?? {}).forEach((kind, place) => kinds[place].append(element("small", kind)));
  const listed = element("dd", topic.schema ? "" : "none: records are bytes");
  listed.append(...kinds);
  schema.append(element("dt", "schema"), listed);
  schema.className = "wide";
  at("facts").replaceChildren(...facts.map(([name, value]) => {
    const pair = document.createElement("div");
    pair.append(element("dt", name), element("dd", value));
    return pair;
  }), schema);
}

function offer(select, options, value) {
  const wanted = options.map((option) => option.join("=")).join();
  if (select.dataset.offered !== wanted) {
    select.dataset.offered = wanted;
    select.replaceChildren(...options.map(([name, text]) => element("option", text, { value: name })));
  }
  select.value = value;
}

/** Nobody counts the least time of a split without schema: the first event tells. */
async function dated(path, splits, count) {
  const open = splits.find((split) => split.first_ms === null && split.last_ms !== null);
  if (!open) return splits;
  if (earliest.of !== `${path} ${count > 0}`) {
    const { rows } = await ask(`${path}/events?limit=1&columns=_ts&format=json`);
    earliest = { of: `${path} ${count > 0}`, ms: rows[0]?._ts ?? null };
  }
  open.first_ms = earliest.ms === null ? null : Math.min(earliest.ms, open.last_ms);
  return splits;
}

const fitting = (span) => (WINDOWS.find(([, ms]) => (span[1] - span[0]) / ms <= POINTS_WANTED) ?? WINDOWS.at(-1))[0];

function readOut(name, row) {
  if (!row) return (at("readout").textContent = "drag over the plot to zoom in");
  const facts = [`${number(row.count)} events`];
  if (name && row[`mean(${name})`] !== null) facts.unshift(...["min", "mean", "max"].map((what) => `${what} ${number(row[`${what}(${name})`])}`));
  if (row._unsettled) facts.push("not final yet");
  at("readout").textContent = `${moment(row.window_start)}   ${facts.join(" · ")}`;
}

async function showPlot(topic, splits, watermark) {
  const numeric = Object.entries(topic.schema ?? {}).filter(([, kind]) => SUMMABLE.has(kind)).map(([name]) => name);
  const name = numeric.includes(chosen.attribute) || chosen.attribute === "" ? chosen.attribute : (topic.aggregates[0] ?? numeric[0] ?? "");
  offer(at("attribute"), [...numeric.map((one) => [one, one]), ["", "events only"]], name);
  const span = chosen.range ?? bounds(splits);
  at("whole").disabled = at("out").disabled = !chosen.range;
  if (!span) {
    shown = "";
    offer(at("every"), [["", "window"]], "");
    at("asked").textContent = at("readout").textContent = "";
    return clearPlot(at("plot"), "Nothing to draw yet.");
  }
  const every = chosen.every || fitting(span);
  offer(at("every"), [["", `${fitting(span)} (fitting)`], ...WINDOWS.map(([one]) => [one, one])], chosen.every);
  const agg = name ? `count,mean(${name}),min(${name}),max(${name})` : "count";
  const query = new URLSearchParams({ from: Math.floor(span[0]), to: Math.ceil(span[1]), every, agg, fill: "null" });
  const path = `/api/v1/topics/${encodeURIComponent(topic.name)}/aggregate?${query}`;
  // Nothing to draw again while neither the question nor the data has changed.
  const state = [path, countOf(topic), watermark.tick, at("plot").clientWidth, matchMedia("(prefers-color-scheme: dark)").matches].join();
  if (state === shown) return;
  const slow = setTimeout(() => at("plot").classList.add("waiting"), SLOW_MS);
  try {
    const { rows, meta } = await ask(path);
    drawPlot(at("plot"), {
      rows, name, span, watermark: watermark.watermark, pick: (range) => choose({ range }), read: (row) => readOut(name, row),
    });
    readOut(name, null);
    const read = Object.entries(meta.plan).filter(([, count]) => count).map(([what, count]) => `${number(count)} ${what.replace("_", " ")}`).join(", ");
    const link = element("a", decodeURIComponent(`GET ${path}`), { href: path });
    at("asked").replaceChildren(link, document.createTextNode(` gave ${number(rows.length)} windows${read && ` from ${read}`}.`));
    shown = state;
  } finally {
    clearTimeout(slow);
    at("plot").classList.remove("waiting");
  }
}

function showCluster(cluster) {
  at("nodes").replaceChildren(...cluster.nodes.map((node) => {
    const led = cluster.shards.filter((shard) => shard.leader_id === node.node_id);
    const held = cluster.shards.filter((shard) => shard.replicas.some((replica) => replica.node_id === node.node_id));
    const item = element("li", "", { class: node.is_live ? "live" : "away", title: `Kafka ${node.kafka}` });
    const name = element(node.node_id === cluster.node_id ? "strong" : "a", `node ${node.node_id}`, { href: `http://${node.http}/` });
    const role = node.node_id === cluster.controller_id ? ", controller" : "";
    item.append(name, element("small", node.is_live ? `leads ${led.length} of ${held.length} shards${role}` : "away"));
    return item;
  }));
  const idle = cluster.shards.filter((shard) => shard.leader_id < 0);
  at("leaderless").hidden = !idle.length;
  at("leaderless").textContent = `Without a leader: ${idle.map((shard) => `shard ${shard.shard_id}`).join(", ")}.`;
  at("cluster").hidden = cluster.nodes.length < 2;
}

async function show() {
  showCluster(await ask("/api/v1/cluster"));
  ({ topics } = await ask("/api/v1/topics"));
  if (!topics.some((topic) => topic.name === chosen.topic)) {
    Object.assign(chosen, { topic: topics[0]?.name ?? "", attribute: null, every: "", range: null });
  }
  showTopics();
  remember();
  const topic = topics.find((one) => one.name === chosen.topic);
  at("topic").hidden = !topic;
  document.title = topic ? `${topic.name} – Timesplit` : "Timesplit";
  if (!topic) return;
  at("name").textContent = topic.name;
  const path = `/api/v1/topics/${encodeURIComponent(topic.name)}`;
  const [found, watermark] = await Promise.all([ask(`${path}/splits`), ask(`${path}/watermark`)]);
  showFacts(topic, watermark);
  const splits = await dated(path, found.splits, countOf(topic));
  drawSplits(at("splits"), { splits, watermark, range: chosen.range, pick: (range) => choose({ range }) });
  await showPlot(topic, splits, watermark);
}

let isBusy = false, isAskedAgain = false;
async function refresh() {
  isAskedAgain = isBusy;
  if (isBusy) return;
  isBusy = true;
  try {
    await show();
    at("problem").hidden = true;
  } catch (error) {
    at("problem").textContent = error.message;
    at("problem").hidden = false;
  } finally {
    isBusy = false;
    if (isAskedAgain) refresh();
  }
}

function zoomOut() {
  const [first, end] = chosen.range, half = Math.ceil((end - first) / 2);
  choose({ range: [first - half, end + half] });
}

async function start() {
  recall();
  at("attribute").onchange = (event) => choose({ attribute: event.target.value });
  at("every").onchange = (event) => choose({ every: event.target.value });
  at("whole").onclick = () => choose({ range: null });
  at("out").onclick = zoomOut;
  at("choice").onsubmit = (event) => event.preventDefault();
  addEventListener("keydown", (event) => { if (event.key === "Escape") choose({ range: null }); });
  addEventListener("hashchange", () => { recall(); refresh(); });
  addEventListener("resize", refresh);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
  setInterval(() => { if (!document.hidden) refresh(); }, REFRESH_MS);
  refresh();
  const node = await ask("/health/live");
  at("node").textContent = `node ${node.node_id} of cluster ${node.cluster_id}`;
}

start().catch(() => {}); // the refresh that runs meanwhile says why
