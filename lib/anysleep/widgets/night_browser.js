// The night browser: what a person does with mouse and keys, and what Python answers. Painting is in night_picture.js.

const PAGES_S = [10, 30, 60, 120, 300, 600, 1800, 3600, 7200], GAINS_UV = [10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000];
const STAGE_KEYS = { w: 0, 1: 1, 2: 2, 3: 3, r: 4, u: 9 }, KEPT_PAGES = 60;
const HELP = {
  "← →": "page", "+ −": "zoom", "0": "whole night", "↑ ↓": "gain", "Home End": "first, last page", "F": "filters on or off",
  "D": "next disagreement", "L": "least certain epoch", "A": "next arousal", "S": "next stage change", "with Shift": "the one before", "Esc": "let go",
};
const REVIEW_HELP = {
  "W 1 2 3 R U": "give the epoch this stage and go on; U is unscored", "Enter": "confirm the stage it has and go on",
  "Q": "after a stage, go on with the least certain epoch instead of the next", "Ctrl Z, Ctrl Y": "undo, redo", "Shift ← →": "select several epochs",
  "M": "mark an arousal: ← → moves it, Shift ← → makes it longer, Enter keeps it", "Delete": "take arousals away",
};
const BUTTONS = [
  ["◀", "Previous page (←)", "ArrowLeft"], ["▶", "Next page (→)", "ArrowRight"], ["−", "Longer page (−)", "-"], ["+", "Shorter page (+)", "+"],
  ["Night", "Whole night (0)", "0"], ["▲ gain", "Larger signals (↑)", "ArrowUp"], ["▼ gain", "Smaller signals (↓)", "ArrowDown"],
  ["Disagreement", "Next disagreement (D)", "d"], ["Least certain", "Least certain epoch that is not reviewed (L)", "l"],
  ["Arousal", "Next arousal (A)", "a"], ["Stage change", "Next stage change (S)", "s"],
];
const STAGE_BUTTONS = [
  ["Wake", "Wake, and on (W)", "w"], ["N1", "N1, and on (1)", "1"], ["N2", "N2, and on (2)", "2"], ["N3", "N3, and on (3)", "3"], ["REM", "REM, and on (R)", "r"],
  ["Unscored", "Unscored, and on (U)", "u"], ["✓ Confirm", "Confirm the stage it has, and on (Enter)", "Enter"],
];
const UNDO_BUTTONS = [["Undo", "Undo (Ctrl Z)", "z", true], ["Redo", "Redo (Ctrl Y)", "y", true]];

const make = (tag, set = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), set);
  element.append(...children);
  return element;
};
const bytesOf = (view) => view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);

class Browser {
  constructor(model, el) {
    this.model = model;
    this.pages = new Map();
    this.asked = new Set();
    this.rowUv = 150;
    this.anchor = null; // where a range of epochs begins
    this.draft = null; // an arousal that is being marked
    this.picked = null; // one that was clicked on or jumped to
    this.queue = false;
    this.scored = new Set(); // seconds of epochs that Python may not have taken out of the queue yet
    this.since = performance.now(); // of work on this epoch
    this.version = 0;
    this.night = { about: model.get("about") };
    this.build(el);
    this.keep(...model.get("first_page"));
    this.takeScores();
    this.takeDensity();
    this.takeSpectrogram();
    this.resize();
  }

  build(el) {
    const { resolutions, lanes, reviews } = this.night.about;
    this.reviews = reviews;
    const button = ([words, title, key, ctrlKey]) =>
      make("button", { type: "button", textContent: words, title, ariaLabel: title, onclick: () => { this.press({ key, ctrlKey }); this.root.focus(); } });
    this.canvas = make("canvas");
    this.status = make("output");
    this.filter = button(["Filters", "EEG 0.3 to 35 Hz, EOG 0.3 to 10 Hz, for the eye only (F)", "f"]);
    this.follow = button(["Least certain next", "After a stage go on with the least certain epoch (Q)", "q"]);
    const choice = make("select", { title: "Hypnodensity: predictions in 30 s", ariaLabel: "Hypnodensity: predictions in 30 s", onchange: () => this.set({ resolution: Number(choice.value) }) });
    choice.append(...resolutions.map((r) => make("option", { value: r, textContent: `${r} in 30 s`, selected: r === this.model.get("resolution") })));
    const name = make("input", { value: this.model.get("reviewer"), ariaLabel: "Who reviews", title: "Who reviews", onchange: () => this.set({ reviewer: name.value }) });
    const useful = { "Disagreement": lanes.length > 1, "Least certain": resolutions.length > 0 };
    const look = [...BUTTONS.filter(([title]) => useful[title] ?? true).map(button), this.filter, ...(resolutions.length ? [choice] : [])];
    const review = ["This epoch is", ...STAGE_BUTTONS.map(button), this.follow, ...UNDO_BUTTONS.map(button), "by", name];
    const row = ([key, does]) => make("tr", {}, make("td", {}, make("kbd", { textContent: key })), make("td", { textContent: does }));
    const keys = make("table", {}, ...Object.entries({ ...(this.reviews ? REVIEW_HELP : {}), ...HELP }).map(row));
    this.root = make("div", { className: "night-browser", tabIndex: 0, ariaLabel: "Night browser" },
      make("div", { className: "controls" }, ...look), ...(this.reviews ? [make("div", { className: "controls" }, ...review)] : []), this.status, this.canvas,
      make("details", { ontoggle: () => this.root.focus({ preventScroll: true }) }, make("summary", { textContent: "Keys" }), keys));
    this.root.setAttribute("role", "application");
    this.root.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab's own keys
    this.status.setAttribute("aria-live", "polite");
    this.context = this.canvas.getContext("2d");
    el.append(this.root);
    this.listen();
  }

  listen() {
    const { model, root, canvas } = this, stop = new AbortController(), only = { signal: stop.signal };
    root.addEventListener("keydown", (event) => {
      if (["INPUT", "SELECT"].includes(event.target.tagName) || (event.target.tagName === "BUTTON" && [" ", "Enter"].includes(event.key))) return event.stopPropagation();
      if (this.press(event)) { event.preventDefault(); event.stopPropagation(); }
    }, only);
    canvas.addEventListener("pointerdown", (event) => this.pointerDown(event), only);
    canvas.addEventListener("pointermove", (event) => this.pointerMove(event), only);
    canvas.addEventListener("pointerup", () => this.pointerUp(), only);
    canvas.addEventListener("wheel", (event) => { if (event.ctrlKey) { event.preventDefault(); this.press({ key: event.deltaY < 0 ? "+" : "-" }); } }, { ...only, passive: false });
    const heard = {
      "change:stages": () => this.takeScores(), "change:arousals": () => this.takeScores(), "change:hypnodensity": () => this.takeDensity(),
      "change:spectrogram": () => this.takeSpectrogram(), "change:n_reviewed": () => this.schedule(), "change:at_s change:page_s change:filtered": () => this.schedule(),
      "msg:custom": (message, buffers) => this.hear(message, buffers),
    };
    for (const [what, does] of Object.entries(heard)) model.on(what, does);
    const size = new ResizeObserver(() => this.resize()), theme = new MutationObserver(() => { this.overview = null; this.schedule(); });
    size.observe(root);
    theme.observe(document.body, { attributes: true });
    this.close = () => { stop.abort(); size.disconnect(); theme.disconnect(); Object.entries(heard).forEach(([what, does]) => model.off(what, does)); };
  }

  // What is looked at

  get at() { return this.model.get("at_s"); }
  get length() { return Math.min(this.model.get("page_s"), this.night.about.duration_s); }
  get start() { return Math.floor(this.at / this.length) * this.length; }
  get epoch() { return Math.floor(this.at / EPOCH_S); }
  get epochs() { return this.anchor === null ? [this.epoch, this.epoch] : [Math.min(this.anchor, this.epoch), Math.max(this.anchor, this.epoch)]; }

  set(values) {
    Object.entries(values).forEach(([name, value]) => this.model.set(name, value));
    this.model.save_changes();
    this.schedule();
  }

  goTo(s) {
    const before = this.epoch;
    this.set({ at_s: Math.min(Math.max(s, 0), this.night.about.duration_s - Math.min(this.length, EPOCH_S)) });
    if (this.epoch !== before) this.since = performance.now();
    if (this.reviews) this.ask({ type: "refresh" }); // what others have added
  }

  zoomed(step) {
    const all = [...PAGES_S.filter((s) => s < this.night.about.duration_s), this.night.about.duration_s];
    const now = all.findIndex((s) => s >= this.length - 1e-6);
    return all[Math.min(Math.max(now + step, 0), all.length - 1)];
  }

  gain(step) {
    const now = GAINS_UV.indexOf(this.rowUv);
    this.rowUv = GAINS_UV[Math.min(Math.max(now + step, 0), GAINS_UV.length - 1)];
    this.schedule();
  }

  target(what, back) {
    const places = this.model.get("targets")[what] ?? [], here = what === "arousal" ? this.at : this.epoch * EPOCH_S;
    if (what === "least_certain") return places.find((s) => s !== here && !this.scored.has(s));
    return back ? places.findLast((s) => s < here) : places.find((s) => s > here);
  }

  jump(what, back) {
    const to = this.target(what, back);
    if (to === undefined) return this.say(`no ${back ? "earlier" : "further"} ${what.replace("_", " ")}`);
    this.anchor = null;
    this.picked = what === "arousal" ? this.lane?.arousals.find(([onset]) => onset === to) ?? null : null;
    this.goTo(to);
  }

  // Keys and pointer

  press({ key, ctrlKey, metaKey, shiftKey, altKey }) {
    const plain = key.length === 1 ? key.toLowerCase() : key;
    this.said = null;
    if (altKey) return false;
    if (ctrlKey || metaKey) {
      const does = { z: shiftKey ? "redo" : "undo", y: "redo" }[plain];
      this.note = null;
      if (does) this.ask({ type: does });
      return Boolean(does);
    }
    if (this.draft && this.mark(key, shiftKey)) return true;
    if (this.reviews && plain in STAGE_KEYS) { this.score(STAGE_KEYS[plain]); return true; }
    if (this.reviews && key === "Enter") { this.anchor = null; this.score(this.lane.stages[this.epoch]); return true; }
    this.note = null;
    const move = (s) => { this.anchor = this.picked = null; this.goTo(s); };
    const range = (step) => { this.anchor ??= this.epoch; this.goTo((this.epoch + step) * EPOCH_S); };
    const does = {
      ArrowRight: () => (shiftKey ? range(1) : move(this.start + this.length)), ArrowLeft: () => (shiftKey ? range(-1) : move(this.start - this.length)),
      PageDown: () => move(this.start + this.length), PageUp: () => move(this.start - this.length), Home: () => move(0), End: () => move(this.night.about.duration_s),
      ArrowUp: () => this.gain(-1), ArrowDown: () => this.gain(1), "+": () => this.set({ page_s: this.zoomed(-1) }), "=": () => this.set({ page_s: this.zoomed(-1) }), "-": () => this.set({ page_s: this.zoomed(1) }),
      0: () => this.set({ page_s: this.length < this.night.about.duration_s ? this.night.about.duration_s : 30 }),
      d: () => this.jump("disagreement", shiftKey), a: () => this.jump("arousal", shiftKey), s: () => this.jump("stage_change", shiftKey), l: () => this.jump("least_certain"),
      f: () => this.set({ filtered: !this.model.get("filtered") }), q: () => { this.queue = !this.queue; this.schedule(); },
      m: () => { const middle = this.start + this.length / 2; this.draft = [middle - 1.5, middle + 1.5]; this.schedule(); },
      Delete: () => this.removeArousals(), Backspace: () => this.removeArousals(), Escape: () => { this.anchor = this.picked = null; this.schedule(); },
    }[plain];
    does?.();
    return Boolean(does);
  }

  mark(key, longer) {
    const step = { ArrowLeft: -0.5, ArrowRight: 0.5 }[key];
    if (step) this.draft = [this.draft[0] + (longer ? 0 : step), Math.max(this.draft[1] + step, this.draft[0] + 0.5)];
    else if (key === "Enter") this.keepDraft();
    else if (key === "Escape") this.draft = null;
    else return false;
    this.schedule();
    return true;
  }

  keepDraft() {
    const [onset_s, end_s] = this.draft;
    this.draft = null;
    this.ask({ type: "mark_arousal", onset_s: Math.max(onset_s, 0), end_s, seconds_spent: this.spent() });
  }

  score(stage) {
    const [first, last] = this.epochs, epochs = Array.from({ length: last - first + 1 }, (_, i) => first + i + 1);
    this.ask({ type: "stage", epochs, stage, seconds_spent: this.spent() });
    epochs.forEach((epoch) => this.scored.add((epoch - 1) * EPOCH_S));
    const named = (code) => this.night.about.stages[code] ?? "unscored", before = this.lane.stages[first];
    const change = before === stage ? `stays ${named(stage)}` : `was ${named(before)}, is ${named(stage)}`;
    this.note = first === last ? `epoch ${first + 1} ${change}` : `epochs ${first + 1} to ${last + 1} are ${named(stage)}`;
    this.lane.stages.fill(stage, first, last + 1); // as Python will say; where it refuses, all is as it was
    this.version += 1;
    this.overview = null;
    this.anchor = this.picked = null;
    if (this.queue) this.jump("least_certain");
    else this.goTo((last + 1) * EPOCH_S);
  }

  removeArousals() {
    const [first, last] = this.epochs, [start_s, end_s] = this.picked ?? [first * EPOCH_S, (last + 1) * EPOCH_S];
    this.picked = null;
    this.ask({ type: "remove_arousals", start_s, end_s, seconds_spent: this.spent() });
  }

  spent() {
    const seconds = (performance.now() - this.since) / 1000;
    this.since = performance.now();
    return seconds;
  }

  pointerDown(event) {
    const { x, y, at, zone } = this.place(event);
    this.root.focus({ preventScroll: true });
    this.said = null;
    this.canvas.setPointerCapture(event.pointerId);
    this.drag = { zone, at, from: at.s(x), x, moved: false };
    if (zone === "overview") this.goTo(at.s(x));
    if (zone === "strips") { this.anchor = null; this.goTo(at.s(x)); }
    this.picked = zone === "signals" ? this.lane?.arousals.find(([onset, end]) => onset <= at.s(x) && at.s(x) <= end) ?? null : null;
    this.schedule();
  }

  pointerMove(event) {
    if (!this.drag) return this.hover(event);
    const { x } = this.place(event), { zone, at, from } = this.drag, s = Math.min(Math.max(at.s(x), at.from), at.from + at.span - 1e-3);
    this.drag.moved ||= Math.abs(x - this.drag.x) > 3;
    if (!this.drag.moved) return;
    if (zone === "overview") this.goTo(s);
    if (zone === "strips") { this.anchor ??= Math.floor(from / EPOCH_S); this.goTo(s); }
    if (zone === "signals" && this.reviews) { this.draft = [Math.min(from, s), Math.max(from, s)]; this.schedule(); }
  }

  pointerUp() {
    if (this.draft && this.drag?.zone === "signals" && this.drag.moved) this.keepDraft();
    this.drag = null;
    this.schedule();
  }

  place({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect(), x = clientX - box.left, y = clientY - box.top, top = this.top;
    const zone = y < top ? "overview" : y < top + stripsHeight(this.night) ? "strips" : "signals";
    return { x, y, zone, at: zone === "overview" ? scaleOf(0, this.night.about.duration_s, this.width) : this.scale };
  }

  hover(event) {
    const { x, y, zone } = this.place(event), channels = this.night.about.channels;
    const channel = zone === "signals" && x < LEFT ? channels[Math.floor((y - this.top - stripsHeight(this.night) - 4) / TRACE)] : null;
    this.canvas.title = channel?.verdict ? `${channel.name}: ${channel.verdict} ${channel.reason}` : "";
  }

  // Python

  ask(message) {
    this.model.send(message);
  }

  hear(message, buffers) {
    if (message.type === "page") this.keep(message, buffers[0]);
    if (message.type === "refused") { this.note = null; this.scored.clear(); this.takeScores(); this.say(message.reason, true); }
    if (message.type === "done" && message.at_s !== null) { this.scored.delete(message.at_s); this.goTo(message.at_s); }
    this.root.dataset.answers = Number(this.root.dataset.answers ?? 0) + (message.type === "page" ? 0 : 1);
    this.schedule();
  }

  key(start, length = this.length) { return `${start}|${length}|${this.model.get("filtered")}`; }

  keep(header, bins) {
    const key = `${header.start_s}|${header.page_s}|${header.filtered}`;
    this.asked.delete(key);
    this.root.dataset.waiting = this.asked.size;
    this.pages.set(key, { ...header, bins: new Float32Array(bytesOf(bins)) });
    if (this.pages.size > KEPT_PAGES) this.pages.delete(this.pages.keys().next().value);
  }

  fetch(start, length = this.length) {
    const key = this.key(start, length);
    if (start < 0 || start >= this.night.about.duration_s || this.pages.has(key) || this.asked.has(key)) return;
    this.asked.add(key);
    this.root.dataset.waiting = this.asked.size;
    this.ask({ type: "page", start_s: start, page_s: length, filtered: this.model.get("filtered") });
  }

  // What the next key is likely to want, so that it is here already.
  fetchAround() {
    const { length, start, at } = this, holding = (s, page = length) => [Math.floor(s / page) * page, page];
    const jumps = Object.keys(this.model.get("targets")).map((what) => this.target(what)).filter((s) => s !== undefined);
    const pages = [[start + length, length], [start - length, length], ...[-1, 1].map((step) => holding(at, this.zoomed(step)))];
    for (const [from, page] of [...pages, holding(0, this.night.about.duration_s), ...jumps.map((s) => holding(s))]) this.fetch(from, page);
  }

  takeScores() {
    const stages = new Int8Array(bytesOf(this.model.get("stages"))), names = this.night.about.lanes, arousals = this.model.get("arousals");
    const n = stages.length / (names.length || 1);
    this.night.lanes = names.map((name, i) => ({ name, stages: stages.subarray(i * n, (i + 1) * n), arousals: arousals[i] ?? [] }));
    this.lane = this.night.lanes.at(-1);
    this.version += 1;
    this.overview = null;
    this.schedule();
  }

  takeDensity() {
    this.night.resolution = this.model.get("resolution");
    this.night.density = this.night.resolution ? new Float32Array(bytesOf(this.model.get("hypnodensity"))) : null;
    this.overview = null;
    this.schedule();
  }

  takeSpectrogram() {
    const found = this.model.get("spectrogram");
    this.night.spectrogram = found.decibels ? { ...found, image: spectrogramImage(found) } : null;
    this.overview = null;
    this.schedule();
  }

  // The picture

  say(words, refused = false) {
    this.said = { words, refused };
    this.schedule();
  }

  resize() {
    const width = Math.floor(this.root.clientWidth - 8);
    if (width < 300 || width === this.width) return;
    this.width = width;
    this.overview = null;
    this.schedule();
  }

  schedule() {
    this.frame ??= requestAnimationFrame(() => { this.frame = null; this.paint(); });
  }

  paint() {
    if (!this.width) return;
    this.fetch(this.start);
    const page = this.pages.get(this.key(this.start));
    if (!page && this.root.dataset.painted) return; // what is shown stays until Python has answered
    const look = looks(this.root), { context: c, night, width } = this, ratio = devicePixelRatio;
    this.top = overviewHeight(night) + 8;
    this.scale = scaleOf(this.start, this.length, width);
    this.fit(this.canvas, width, this.top + pageHeight(night), ratio);
    this.overview ??= this.paintedOverview(look, ratio);
    c.fillStyle = look.paper;
    c.fillRect(0, 0, width, this.canvas.height);
    c.drawImage(this.overview, 0, 0, width, this.top - 8);
    const whole = scaleOf(0, night.about.duration_s, width), x = whole.x(this.start), right = whole.x(this.start + this.length);
    c.strokeStyle = look.mark;
    c.lineWidth = 2;
    c.strokeRect(x - 1, 14, Math.max(Math.min(right, width - RIGHT) - x, 1) + 2, this.top - 20);
    c.lineWidth = 1;
    paintPage(c, night, look, this.scale, page, this.top, { epochs: this.reviews || this.length > 30 ? this.epochs : null, draft: this.draft, rowUv: this.rowUv });
    this.tell();
    if (page) this.fetchAround();
    this.root.dataset.painted = `${this.key(this.start)}|${this.rowUv}|${this.version}|${this.at}`;
    this.root.dataset.page = page ? "whole" : "waiting";
  }

  fit(canvas, width, height, ratio) {
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      if (canvas.style) canvas.style.height = `${height}px`;
    }
    canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  paintedOverview(look, ratio) {
    const canvas = new OffscreenCanvas(1, 1);
    this.fit(canvas, this.width, this.top - 8, ratio);
    const c = canvas.getContext("2d");
    c.fillStyle = look.paper;
    c.fillRect(0, 0, this.width, this.top);
    paintOverview(c, this.night, look, this.width);
    return canvas;
  }

  tell() {
    const { night, epoch } = this, [first, last] = this.epochs, n = Math.round(night.about.duration_s / EPOCH_S);
    const stages = night.lanes.map(({ name, stages }) => `${name} ${night.about.stages[stages[epoch]] ?? "unscored"}`);
    const which = first === last ? `epoch ${epoch + 1} of ${n}` : `epochs ${first + 1} to ${last + 1} of ${n}`;
    const length = this.length < 60 ? `${this.length} s` : this.length < 3600 ? `${this.length / 60} min` : `${+(this.length / 3600).toFixed(2)} h`;
    const done = this.reviews ? [`${this.model.get("n_reviewed")} reviewed`] : [];
    const words = this.said?.words ?? [clock(night, this.at), which, ...stages, `page of ${length}`, ...done, ...(this.note ? [this.note] : [])].join(" · ");
    if (this.status.textContent !== words) this.status.textContent = words;
    this.status.toggleAttribute("data-refused", Boolean(this.said?.refused));
    this.filter.ariaPressed = this.model.get("filtered");
    this.follow.ariaPressed = this.queue;
  }
}

export default {
  render({ model, el }) {
    const browser = new Browser(model, el);
    return () => browser.close();
  },
};
