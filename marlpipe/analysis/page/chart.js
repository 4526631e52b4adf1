"use strict";

// A canvas with two axes, in the units of the data; null is a gap.

const DASHES = [[], [9, 4], [2, 4]];

const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function shortNumber(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return `${round(value / 1e9)}G`;
  if (size >= 1e6) return `${round(value / 1e6)}M`;
  if (size >= 1e4) return `${round(value / 1e3)}k`;
  return String(round(value));
}

const round = (value) => Number(value.toPrecision(6));

// Round positions of at most `most` ticks on an axis.
function ticks(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high * (1 + 1e-9) + step * 1e-6; at++) found.push(at * step);
  return found;
}

// The smallest and largest value of some arrays; widened where they are equal.
function extent(arrays) {
  let low = Infinity, high = -Infinity;
  for (const values of arrays) for (const value of values) {
    if (value === null) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return null;
  const apart = high > low ? 0 : Math.max(1, Math.abs(low)) * 0.05;
  return [low - apart, high + apart];
}

class Plot {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.marks = [];
  }

  // Clears the canvas and draws the axes. Ticks and labels on x are in units of `xUnit`.
  frame({ x, y, xLabel = "", yLabel = "", xText = shortNumber, xUnit = 1, yText = shortNumber, left = 56 }) {
    const scale = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.pen.setTransform(scale, 0, 0, scale, 0, 0);
    this.marks = [];
    this.xText = (value) => xText(Number((value / xUnit).toPrecision(4)));
    this.box = { left, right: width - 24, top: 20, bottom: height - 40 };
    this.x = (value) => this.box.left + ((value - x[0]) / (x[1] - x[0])) * (this.box.right - this.box.left);
    this.y = (value) => this.box.bottom - ((value - y[0]) / (y[1] - y[0])) * (this.box.bottom - this.box.top);
    const pen = this.pen;
    pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    const line = colourOf("--line"), faint = colourOf("--faint");
    if (yText) for (const at of ticks(...y, (height - 60) / 45)) {
      this.rule(this.box.left, this.y(at), this.box.right, this.y(at), line);
      this.text(yText(at), this.box.left - 8, this.y(at), "right", faint);
    }
    const most = (this.box.right - this.box.left) / 75;
    for (const at of ticks(x[0] / xUnit, x[1] / xUnit, most)) {
      const place = this.x(at * xUnit);
      this.rule(place, this.box.top, place, this.box.bottom, line);
      this.text(xText(at), place, this.box.bottom + 13, "center", faint);
    }
    this.text(xLabel, this.box.right, height - 9, "right", faint);
    this.text(yLabel, 4, 8, "left", faint);
  }

  rule(fromX, fromY, toX, toY, colour) {
    this.pen.strokeStyle = colour;
    this.pen.beginPath();
    this.pen.moveTo(fromX, fromY);
    this.pen.lineTo(toX, toY);
    this.pen.stroke();
  }

  text(said, x, y, align, colour) {
    this.pen.textAlign = align;
    this.pen.fillStyle = colour;
    this.pen.fillText(said, x, y);
  }

  // `mark` is what a tooltip shows for the line.
  line(xs, ys, { colour, width = 1, dash = [], alpha = 1, mark = null }) {
    const pen = this.pen, places = [];
    pen.save();
    pen.strokeStyle = pen.fillStyle = colour;
    pen.globalAlpha = alpha;
    pen.lineWidth = width;
    pen.lineJoin = "round";
    pen.setLineDash(dash);
    pen.beginPath();
    let down = false;
    xs.forEach((value, at) => {
      if (value === null || ys[at] === null || ys[at] === undefined) { down = false; return; }
      const x = this.x(value), y = this.y(ys[at]);
      if (down) pen.lineTo(x, y); else pen.moveTo(x, y);
      down = true;
      places.push([x, y, value, ys[at]]);
    });
    pen.stroke();
    if (places.length === 1) this.disc(places[0][0], places[0][1], width + 1.5);
    pen.restore();
    if (mark) this.marks.push({ ...mark, places });
  }

  band(xs, low, high, { colour, alpha }) {
    const known = xs.map((_, at) => at).filter((at) => xs[at] !== null && low[at] !== null && high[at] !== null);
    if (!known.length) return;
    const pen = this.pen;
    pen.save();
    pen.globalAlpha = alpha;
    pen.fillStyle = colour;
    pen.beginPath();
    known.forEach((at) => pen.lineTo(this.x(xs[at]), this.y(high[at])));
    known.reverse().forEach((at) => pen.lineTo(this.x(xs[at]), this.y(low[at])));
    pen.fill();
    pen.restore();
  }

  dot(x, y, { colour, radius = 4, alpha = 0.8, mark = null }) {
    this.pen.save();
    this.pen.globalAlpha = alpha;
    this.pen.fillStyle = colour;
    this.disc(this.x(x), this.y(y), radius);
    this.pen.restore();
    if (mark) this.marks.push({ ...mark, places: [[this.x(x), this.y(y), x, y]] });
  }

  disc(x, y, radius) {
    this.pen.beginPath();
    this.pen.arc(x, y, radius, 0, 2 * Math.PI);
    this.pen.fill();
  }

  // The mark nearest to a position on the screen, at most 18 pixels away.
  nearest(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect();
    const x = clientX - box.left, y = clientY - box.top;
    let found = null, least = 18 ** 2;
    for (const mark of this.marks) for (const place of mark.places) {
      const away = (place[0] - x) ** 2 + (place[1] - y) ** 2;
      if (away < least) { least = away; found = { ...mark, x: place[2], y: place[3] }; }
    }
    return found;
  }
}
