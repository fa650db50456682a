// What the night browser paints: plain functions of a canvas context, which keep nothing.

const LEFT = 132, RIGHT = 58, AXIS = 16, TRACE = 54;
const OVERVIEW = { density: 30, spectrogram: 56, lane: 54 }, STRIP = { density: 22, lane: 20 };
const LETTERS = { 0: "W", 1: "1", 2: "2", 3: "3", 4: "R", 9: "U" }, EPOCH_S = 30, UNSCORED = 9;
const LEVELS = { 0: 0, 4: 1, 1: 2, 2: 3, 3: 4 }; // of a hypnogram, from the top: W R 1 2 3
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

const looks = (element) => {
  const style = getComputedStyle(element), colour = (name) => style.getPropertyValue(name).trim();
  return { paper: colour("--paper"), ink: colour("--ink"), faint: colour("--faint"), rule: colour("--rule"), mark: colour("--mark") };
};

const overviewHeight = (night) =>
  AXIS + OVERVIEW.lane * night.lanes.length + OVERVIEW.spectrogram + (night.density ? OVERVIEW.density : 0);
const stripsHeight = (night) => STRIP.lane * night.lanes.length + (night.density ? STRIP.density : 0);
const pageHeight = (night) => stripsHeight(night) + TRACE * night.about.channels.length + 8 + AXIS;

// Where a second lies on the canvas, and back.
const scaleOf = (from, span, width) => ({
  from, span, width,
  x: (s) => LEFT + ((s - from) / span) * (width - LEFT - RIGHT),
  s: (x) => from + ((x - LEFT) / (width - LEFT - RIGHT)) * span,
});

const clock = (night, s) => {
  const t = Math.round(((night.about.clock_s ?? 0) + s) * 10) / 10, two = (n) => String(Math.floor(n)).padStart(2, "0");
  const fraction = t % 1 ? (t % 1).toFixed(1).slice(1) : "";
  return `${two((t / 3600) % 24)}:${two((t / 60) % 60)}:${two(t % 60)}${fraction}`;
};

function text(c, words, x, y, colour, { align = "left", size = 11, bold = false, room } = {}) {
  c.font = `${bold ? "bold " : ""}${size}px sans-serif`;
  c.fillStyle = colour;
  c.textAlign = align;
  c.textBaseline = "middle";
  while (room && words.length > 2 && c.measureText(words).width > room) words = words.slice(0, -2) + "…";
  c.fillText(words, x, y);
}

function shade(c, colour, alpha, ...box) {
  c.globalAlpha = alpha;
  c.fillStyle = colour;
  c.fillRect(...box);
  c.globalAlpha = 1;
}

function paintAxis(c, night, look, at, y) {
  const steps = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200];
  const step = steps.find((s) => (at.span / s) * 74 < at.width - LEFT - RIGHT) ?? 14400;
  const offset = (night.about.clock_s ?? 0) % step;
  for (let s = Math.ceil((at.from + offset) / step) * step - offset; s <= at.from + at.span + 1e-6; s += step) {
    c.fillStyle = look.faint;
    c.fillRect(at.x(s), y, 1, 3);
    text(c, clock(night, s), at.x(s), y + 10, look.faint, { align: "center", size: 10 });
  }
  text(c, night.about.clock_s === null ? "since start" : "clock", LEFT - 36, y + 10, look.faint, { align: "right", size: 10 });
}

function paintDensity(c, night, at, y, height) {
  const { density, resolution, about } = night, seconds = EPOCH_S / resolution, n = density.length / 5;
  const left = Math.round(at.x(at.from)), right = Math.round(at.x(at.from + at.span));
  for (let x = left; x < right; x++) {
    const first = Math.max(Math.floor(at.s(x) / seconds), 0), last = Math.max(Math.floor(at.s(x + 1) / seconds), first + 1);
    if (first >= n) break;
    for (let stage = 0, top = y; stage < 5; stage++) {
      let sum = 0, count = 0;
      for (let i = first; i < Math.min(last, n); i++, count++) sum += density[5 * i + stage];
      const part = (sum / count) * height;
      c.fillStyle = about.colours[stage];
      c.fillRect(x, top, 1, part + 0.5);
      top += part;
    }
  }
}

function spectrogramImage({ n_hz: rows, ends: [low, high], decibels }) {
  const values = new Float32Array(decibels.buffer.slice(decibels.byteOffset, decibels.byteOffset + decibels.byteLength));
  const columns = values.length / rows, image = new ImageData(columns, rows);
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue;
    const level = Math.min(Math.max((values[i] - low) / (high - low), 0), 0.999) * 4, stop = Math.floor(level);
    const pixel = 4 * ((rows - 1 - Math.floor(i / columns)) * columns + (i % columns));
    for (let k = 0; k < 3; k++) image.data[pixel + k] = VIRIDIS[stop][k] + (level - stop) * (VIRIDIS[stop + 1][k] - VIRIDIS[stop][k]);
    image.data[pixel + 3] = 255;
  }
  const canvas = new OffscreenCanvas(columns, rows);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function paintMarks(c, night, look, at, top, bottom, words) {
  for (const [start, end] of night.about.gaps_s) {
    const x = Math.max(at.x(start), LEFT), width = Math.min(at.x(end), at.width - RIGHT) - x;
    if (width <= 0) continue;
    shade(c, look.faint, 0.35, x, top, Math.max(width, 1), bottom - top);
    if (words && width > 50) text(c, "recorder paused", x + width / 2, top + 10, look.ink, { align: "center", room: width });
  }
  night.about.lights_s.forEach((s, i) => {
    if (s === null || s < at.from || s > at.from + at.span) return;
    c.strokeStyle = look.ink;
    c.setLineDash([4, 3]);
    c.beginPath(); c.moveTo(at.x(s), top); c.lineTo(at.x(s), bottom); c.stroke();
    c.setLineDash([]);
    shade(c, look.paper, 0.8, at.x(s) + (i ? -52 : 2), bottom - 16, 50, 13);
    text(c, i ? "lights on" : "lights off", at.x(s) + (i ? -4 : 4), bottom - 9, look.ink, { size: 10, align: i ? "right" : "left" });
  });
}

function paintHypnogram(c, night, look, { stages, arousals }, at, y) {
  const step = (OVERVIEW.lane - 10) / 5;
  let before = null;
  "WR123".split("").forEach((letter, i) => text(c, letter, LEFT - 6, y + 2 + (i + 0.5) * step, look.faint, { align: "right", size: 8 }));
  for (let epoch = 0, end; epoch < stages.length; epoch = end) {
    for (end = epoch + 1; end < stages.length && stages[end] === stages[epoch]; ) end++;
    const level = LEVELS[stages[epoch]], x = at.x(epoch * EPOCH_S), right = at.x(end * EPOCH_S);
    if (level === undefined) {
      c.fillStyle = look.rule;
      c.fillRect(x, y + 2, right - x, 5 * step);
      before = null;
      continue;
    }
    const top = y + 2 + level * step;
    c.fillStyle = look.faint;
    if (before !== null) c.fillRect(x - 0.5, Math.min(before, top) + step / 2, 1, Math.abs(before - top));
    c.fillStyle = night.about.colours[stages[epoch]];
    c.fillRect(x, top, Math.max(right - x, 1), step);
    before = top;
  }
  c.fillStyle = look.mark;
  for (const [onset, stop] of arousals) c.fillRect(at.x(onset), y + OVERVIEW.lane - 7, Math.max(at.x(stop) - at.x(onset), 1), 4);
}

function paintOverview(c, night, look, width) {
  const at = scaleOf(0, night.about.duration_s, width), name = (words, y) => text(c, words, 4, y, look.ink, { room: LEFT - 22 });
  let y = AXIS;
  paintAxis(c, night, look, at, 0);
  for (const lane of night.lanes) {
    name(lane.name, y + 14);
    if (lane.arousals.length) text(c, `${lane.arousals.length} arousals`, 4, y + 30, look.mark, { size: 10 });
    paintHypnogram(c, night, look, lane, at, y);
    y += OVERVIEW.lane;
  }
  if (night.density) {
    name("hypnodensity", y + OVERVIEW.density / 2);
    paintDensity(c, night, at, y, OVERVIEW.density - 3);
    y += OVERVIEW.density;
  }
  if (night.spectrogram) {
    const { image, channel, top_hz: top } = night.spectrogram, seconds = image.width * EPOCH_S;
    c.imageSmoothingEnabled = false;
    c.drawImage(image, LEFT, y, at.x(seconds) - LEFT, OVERVIEW.spectrogram - 4);
    name(channel, y + 14);
    for (const hz of [0, 10, 20, top]) text(c, hz === top ? `${hz} Hz` : `${hz}`, LEFT - 6, y + 5 + (1 - hz / top) * (OVERVIEW.spectrogram - 14), look.faint, { align: "right", size: 9 });
  }
  paintMarks(c, night, look, at, AXIS, y + OVERVIEW.spectrogram - 4, false);
}

function paintStrip(c, night, look, { name, stages, arousals }, at, y, epochs) {
  const first = Math.max(Math.floor(at.from / EPOCH_S), 0), last = Math.min(Math.ceil((at.from + at.span) / EPOCH_S), stages.length);
  text(c, name, 4, y + STRIP.lane / 2, look.ink, { room: LEFT - 8 });
  for (let epoch = first; epoch < last; epoch++) {
    const stage = stages[epoch], x = Math.round(Math.max(at.x(epoch * EPOCH_S), LEFT));
    const right = Math.round(Math.min(at.x((epoch + 1) * EPOCH_S), at.width - RIGHT));
    c.fillStyle = stage === UNSCORED ? look.rule : night.about.colours[stage];
    c.fillRect(x, y + 1, right - x - (right - x > 4 ? 1 : 0), STRIP.lane - 3);
    if (right - x > 9) text(c, LETTERS[stage], (x + right) / 2, y + STRIP.lane / 2, stage === 3 ? "#ffffff" : stage === UNSCORED ? look.ink : "#000000", { align: "center", bold: true });
  }
  for (const [onset, end] of arousals) {
    const x = Math.max(at.x(onset), LEFT), right = Math.min(at.x(end), at.width - RIGHT);
    if (right < LEFT || x > at.width - RIGHT) continue;
    c.fillStyle = look.mark;
    c.fillRect(x, y + STRIP.lane - 7, Math.max(right - x, 1), 5);
    if (right - x > 12) text(c, "A", x + 2, y + 8, "#000000", { size: 9, bold: true });
  }
  if (epochs) {
    c.strokeStyle = look.ink;
    c.lineWidth = 2;
    c.strokeRect(Math.max(at.x(epochs[0] * EPOCH_S), LEFT) + 1, y + 1, Math.min(at.x((epochs[1] + 1) * EPOCH_S), at.width - RIGHT) - Math.max(at.x(epochs[0] * EPOCH_S), LEFT) - 3, STRIP.lane - 3);
    c.lineWidth = 1;
  }
}

const roundNumber = (value) => {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [5, 2, 1].find((step) => step * power <= value);
};

function paintSignals(c, night, look, at, page, y, rowUv) {
  const { channels } = night.about, bottom = y + TRACE * channels.length + 8;
  c.strokeStyle = look.rule;
  for (let s = Math.ceil(at.from), every = at.span <= 60 ? 1 : EPOCH_S; at.span <= 1800 && s < at.from + at.span; s++) {
    if (s % every === 0) { c.globalAlpha = s % EPOCH_S ? 0.5 : 1; c.strokeRect(at.x(s), y, 0, bottom - y); }
  }
  c.globalAlpha = 1;
  c.save();
  c.beginPath(); c.rect(LEFT, y, at.width - LEFT - RIGHT, bottom - y); c.clip();
  c.strokeStyle = look.ink;
  c.lineJoin = "bevel";
  c.lineWidth = 0.8;
  let start = 0;
  page.channels.forEach(({ bin_s, from_s, n }, i) => {
    const middle = y + 4 + (i + 0.5) * TRACE, scale = (channels[i].scale * TRACE) / rowUv, bins = page.bins.subarray(start, start + 2 * n);
    const level = page.filtered ? 0 : bins.reduce((sum, v) => sum + (v || 0), 0) / (2 * n || 1);
    let open = false;
    c.globalAlpha = bin_s > 0.25 ? 0.5 : 1; // long pages are bands, which lie over each other
    c.beginPath();
    for (let k = 0; k < n; k++) {
      const low = bins[2 * k], high = bins[2 * k + 1], x = at.x(from_s + (k + 0.5) * bin_s);
      if (Number.isNaN(low)) { open = false; continue; }
      open ? c.lineTo(x, middle + (low - level) * scale) : c.moveTo(x, middle + (low - level) * scale); // negative is up
      if (high !== low) c.lineTo(x, middle + (high - level) * scale);
      open = true;
    }
    c.stroke();
    start += 2 * n;
  });
  c.restore();
  channels.forEach(({ name, unit, verdict, reason }, i) => {
    const middle = y + 4 + (i + 0.5) * TRACE, flagged = verdict && verdict !== "use";
    text(c, name, 4, middle - (flagged ? 7 : 0), look.ink, { room: LEFT - 8 });
    if (flagged) text(c, `${verdict === "drop" ? "✕" : "▲"} ${verdict}: ${reason}`, 4, middle + 8, look.mark, { size: 10, room: LEFT - 8 });
    if (unit !== "µV") text(c, "no unit", at.width - RIGHT + 4, middle, look.faint, { size: 10 });
  });
  const bar = roundNumber(rowUv), height = (bar / rowUv) * TRACE, x = at.width - RIGHT + 8, centre = y + 4 + TRACE / 2;
  c.fillStyle = look.ink;
  c.fillRect(x, centre - height / 2, 2, height);
  text(c, `${bar} µV`, x + 6, centre, look.ink, { size: 10 });
  text(c, "neg. up", x - 4, centre + TRACE / 2 + 2, look.faint, { size: 9 });
  paintMarks(c, night, look, at, y, bottom, true);
}

function paintPage(c, night, look, at, page, top, { epochs, draft, rowUv }) {
  let y = top;
  night.lanes.forEach((lane, i) => {
    paintStrip(c, night, look, lane, at, y, i === night.lanes.length - 1 ? epochs : null);
    y += STRIP.lane;
  });
  if (night.density) {
    text(c, `hypnodensity, ${night.resolution}/30 s`, 4, y + STRIP.density / 2, look.ink, { room: LEFT - 8 });
    paintDensity(c, night, at, y, STRIP.density - 4);
    y += STRIP.density;
  }
  const bottom = y + TRACE * night.about.channels.length + 8, spans = [...(night.lanes.at(-1)?.arousals ?? []), ...(draft ? [draft] : [])];
  for (const span of spans) {
    const x = Math.max(at.x(span[0]), LEFT), width = Math.min(at.x(span[1]), at.width - RIGHT) - x;
    if (width <= 0) continue;
    shade(c, look.mark, span === draft ? 0.35 : 0.15, x, y, width, bottom - y);
  }
  if (page) paintSignals(c, night, look, at, page, y, rowUv);
  paintAxis(c, night, look, at, bottom);
}
