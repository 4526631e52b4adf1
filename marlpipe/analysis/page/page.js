"use strict";

// The interactive part of the page: which arms are shown, the charts, and the details of a run.

const data = JSON.parse(document.getElementById("data").textContent);
const controls = document.getElementById("controls");
const tip = document.getElementById("tip");
const plots = new Map();

const AXES = ["environment steps", "gradient steps", "wall time"];
const state = { axis: 0, smooth: 0, seeds: true, band: true, off: [], ...remembered() };

function remembered() {
  try { return JSON.parse(sessionStorage.getItem("marlpipe.analysis.page")) || {}; } catch { return {}; }
}

function remember() {
  try { sessionStorage.setItem("marlpipe.analysis.page", JSON.stringify(state)); } catch { /* a page from the disk may not */ }
}

function made(name, properties = {}, ...inside) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...inside);
  return element;
}

const colour = (arm) => colourOf(`--c${arm % 7}`);
const dash = (arm) => DASHES[Math.floor(arm / 7) % 3];
const shown = (arm) => !state.off.includes(data.arms[arm]);

// Moving average over `reach` values to either side; gaps stay gaps.
function smoothed(values, reach) {
  if (!reach) return values;
  const sums = [0], counts = [0];
  values.forEach((value, at) => {
    sums.push(sums[at] + (value ?? 0));
    counts.push(counts[at] + (value === null ? 0 : 1));
  });
  return values.map((value, at) => {
    if (value === null) return null;
    const near = Math.min(reach, at, values.length - 1 - at);
    return (sums[at + near + 1] - sums[at - near]) / (counts[at + near + 1] - counts[at - near]);
  });
}

// The unit for times up to `most` seconds.
function timeUnit(most) {
  const [xUnit, name] = most > 2 * 3600 ? [3600, "h"] : most > 120 ? [60, "min"] : [1, "s"];
  return { xUnit, xText: (value) => `${round(value)} ${name}` };
}

const titleOf = (run) => `${run.name}, seed ${run.seed ?? "?"}`;

function drawCurves(plot, env) {
  const arms = env.arms.filter((one) => shown(one.arm));
  const runs = (one) => one.runs.map((id) => ({ id, ...data.runs[id] }));
  const axis = (run) => data.arrays[run.x[state.axis]];
  const seeds = (one) => state.seeds || one.few;
  const ys = (values) => smoothed(values, state.smooth);
  const x = extent(arms.flatMap((one) => [...runs(one).map(axis), one.x[state.axis]]));
  const y = extent(arms.flatMap((one) => [
    ...(seeds(one) ? runs(one).map((run) => ys(run.y)) : []),
    ...(state.band && !one.few ? one.band.slice(1).map(ys) : []),
    ys(one.band[0]),
  ]));
  if (!x || !y) return empty(plot, arms.length ? "not recorded" : "no arm is switched on");
  plot.frame({
    x: [Math.min(0, x[0]), x[1]], y: padded(y), xLabel: AXES[state.axis] + (state.smooth ? ", smoothed" : ""),
    yLabel: "evaluation return", ...(state.axis === 2 ? timeUnit(x[1]) : {}),
  });
  for (const one of arms) {
    const own = { colour: colour(one.arm), dash: dash(one.arm) };
    if (state.band && !one.few) plot.band(one.x[state.axis], ys(one.band[1]), ys(one.band[2]), { ...own, alpha: 0.18 });
    if (seeds(one)) for (const run of runs(one)) {
      plot.line(axis(run), ys(run.y), {
        ...own, width: one.few ? 1.3 : 0.8, alpha: one.few ? 0.75 : 0.35, mark: { run: run.id, said: titleOf(run) },
      });
    }
  }
  for (const one of arms) {
    const mark = seeds(one) ? null : { said: data.arms[one.arm] };
    plot.line(one.x[state.axis], ys(one.band[0]), { colour: colour(one.arm), dash: dash(one.arm), width: 2.4, mark });
  }
}

function drawFinals(plot, env) {
  const arms = env.arms.filter((one) => shown(one.arm) && one.finals.length);
  plot.canvas.style.height = `${Math.max(120, 70 + 38 * arms.length)}px`;
  const x = extent(arms.flatMap((one) => [one.finals, one.few ? [] : one.interval]));
  if (!x) return empty(plot, "no arm is switched on");
  plot.frame({ x: padded(x), y: [-arms.length + 0.35, 0.5], xLabel: "final return", yText: null, left: 12 });
  arms.forEach((one, row) => {
    const own = { colour: colour(one.arm) };
    plot.text(data.arms[one.arm], plot.box.left, plot.y(-row) - 13, "left", colourOf("--ink"));
    one.finals.forEach((value, at) => {
      if (value === null) return;
      const run = data.runs[one.runs[at]];
      plot.dot(value, -row, { ...own, alpha: 0.55, mark: { run: one.runs[at], said: titleOf(run) } });
    });
    const [point, low, high] = one.interval;
    if (low !== null && !one.few) plot.line([low, high], [-row - 0.2, -row - 0.2], { ...own, width: 4 });
    if (point !== null) plot.line([point, point], [-row - 0.28, -row + 0.14], { ...own, width: 3 });
  });
}

function drawProfile(plot, thresholds, profiles, xLabel) {
  const visible = profiles.filter((one) => shown(one.arm) && one.band[0].length);
  const x = visible.length ? extent([thresholds]) : null;
  if (!x) return empty(plot, "no arm is switched on");
  plot.frame({
    x, y: [0, 1.03], xLabel, yLabel: "share of runs above", yText: (share) => `${round(100 * share)} %`,
  });
  for (const one of visible) {
    const own = { colour: colour(one.arm), dash: dash(one.arm) };
    if (state.band && !one.few) plot.band(thresholds, one.band[1], one.band[2], { ...own, alpha: 0.15 });
  }
  for (const one of visible) {
    plot.line(thresholds, one.band[0], {
      colour: colour(one.arm), dash: dash(one.arm), width: 2.2, mark: { said: data.arms[one.arm] },
    });
  }
}

function padded([low, high]) {
  const room = (high - low) * 0.04;
  return [low - room, high + room];
}

function empty(plot, said) {
  plot.frame({ x: [0, 1], y: [0, 1], xText: () => "", yText: null });
  plot.text(said, plot.canvas.clientWidth / 2, plot.canvas.clientHeight / 2, "center", colourOf("--faint"));
}

const DRAW = {
  curves: (plot, env) => drawCurves(plot, env),
  finals: (plot, env) => drawFinals(plot, env),
  profile: (plot, env) => drawProfile(
    plot, env.thresholds, env.arms.map(({ arm, few, profile }) => ({ arm, few, band: profile })), "final return above"),
  tasks: (plot) => drawProfile(
    plot, data.tasks.thresholds, data.tasks.profiles.map(([arm, ...band]) => ({ arm, few: false, band })),
    "normalised score above"),
};

// A chart is drawn when it comes into view.
const visible = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) { visible.add(target); draw(target); } else visible.delete(target);
  }
}, { rootMargin: "300px" });

function draw(canvas) {
  const env = data.envs[Number(canvas.parentElement.dataset.env)];
  DRAW[canvas.dataset.kind](plots.get(canvas), env);
}

const redraw = () => visible.forEach(draw);

function legends() {
  for (const section of document.querySelectorAll("section.env")) {
    const legend = section.querySelector(".legend");
    const arms = data.envs[Number(section.dataset.env)].arms;
    legend.replaceChildren(...arms.map((one) => {
      const box = made("input", { type: "checkbox", checked: shown(one.arm) });
      box.dataset.arm = one.arm;
      box.addEventListener("change", () => toggle([one.arm], box.checked));
      const swatch = made("i", { className: `swatch c${one.arm % 7} d${Math.floor(one.arm / 7) % 3}` });
      return made("label", {}, box, swatch, `${data.arms[one.arm]} (${one.runs.length})`);
    }));
    if (arms.length > 2) legend.prepend(...choices(arms.map((one) => one.arm)));
  }
}

const MANY = 8; // arms in one chart

// Buttons that switch many arms at once; the best arms are listed first.
function choices(arms) {
  const sets = [["all", arms], ["none", []]];
  if (arms.length > MANY) sets.splice(1, 0, [`best ${MANY}`, arms.slice(0, MANY)]);
  return sets.map(([said, on]) => {
    const button = made("button", { type: "button", textContent: said });
    button.addEventListener("click", () => {
      toggle(arms.filter((arm) => !on.includes(arm)), false);
      toggle(on, true);
    });
    return button;
  });
}

function toggle(arms, on) {
  const names = arms.map((arm) => data.arms[arm]);
  state.off = [...state.off.filter((name) => !names.includes(name)), ...(on ? [] : names)];
  for (const box of document.querySelectorAll(".legend input")) box.checked = shown(Number(box.dataset.arm));
  remember();
  redraw();
}

function read() {
  state.axis = Number(controls.elements.axis.value);
  state.smooth = Number(controls.elements.smooth.value);
  state.seeds = controls.elements.seeds.checked;
  state.band = controls.elements.band.checked;
  controls.querySelector("output").textContent = state.smooth ? `±${state.smooth}` : "off";
  remember();
  redraw();
}

function restore() {
  controls.elements.axis.value = String(state.axis);
  controls.elements.smooth.value = String(state.smooth);
  controls.elements.seeds.checked = state.seeds;
  controls.elements.band.checked = state.band;
}

function openRun(number) {
  const run = data.runs[number];
  const facts = [
    ["state", run.state], ["reason", run.reason], ["folder", run.folder], ["command", run.command],
    ["commit", run.commit && run.commit + (run.dirty ? ", with uncommitted changes" : "")],
  ];
  const list = made("dl");
  for (const [name, said] of facts) if (said) list.append(made("dt", {}, name), made("dd", {}, said));
  const pictures = (run.pictures || []).map(([name, source]) => source
    ? made("figure", {}, made("figcaption", {}, name), made("img", { src: source, alt: name }))
    : made("p", {}, name));
  const config = (run.config || []).map((line) => data.lines[line]).join("\n");
  document.getElementById("run-name").textContent = titleOf(run);
  document.getElementById("run-details").replaceChildren(
    list, ...pictures, ...(config ? [made("h3", {}, "config"), made("pre", { tabIndex: 0 }, config)] : []));
  document.getElementById("run").showModal();
}

function point(event) {
  const plot = plots.get(event.currentTarget);
  const found = plot.nearest(event.clientX, event.clientY);
  event.currentTarget.style.cursor = found && found.run !== undefined ? "pointer" : "";
  tip.hidden = !found;
  if (!found) return;
  const height = event.currentTarget.dataset.kind === "finals" ? "" : ` ${shortNumber(Number(found.y.toPrecision(4)))} at`;
  tip.textContent = `${found.said}:${height} ${plot.xText(found.x)}`;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${event.clientY + 16}px`;
}

function listen() {
  controls.addEventListener("input", read);
  controls.addEventListener("submit", (event) => event.preventDefault());
  for (const button of document.querySelectorAll("button.run")) {
    button.addEventListener("click", () => openRun(Number(button.dataset.run)));
  }
  for (const canvas of document.querySelectorAll("canvas")) {
    plots.set(canvas, new Plot(canvas));
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
    canvas.addEventListener("click", (event) => {
      const found = plots.get(canvas).nearest(event.clientX, event.clientY);
      if (found && found.run !== undefined) openRun(found.run);
    });
    watcher.observe(canvas);
  }
  addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

// Of a served page: reloads when there is a newer version, except while the details of a run are open.
function watch(version) {
  setInterval(async () => {
    try {
      const now = await (await fetch("version", { cache: "no-store" })).text();
      if (now !== version && !document.getElementById("run").open) location.reload();
    } catch { /* the server has stopped: the page stays */ }
  }, 3000);
}

restore();
legends();
listen();
read();
if (document.body.dataset.live) watch(document.body.dataset.live);
