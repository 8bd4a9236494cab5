// The least time of a layer and of its separable form on a machine: dsconv_lib/roofline, as a picture and in numbers.

const none = () => [];
// The rates' sliders go about as many times up at each step.
const STEPS = [...Array(5).keys()].flatMap((e) => [1, 1.5, 2, 3, 5, 7].map((n) => n * 10 ** e)).filter(Number.isInteger);
const doubled = (powers) => [...Array(powers + 1).keys()].map((e) => 2 ** e);
const field = (name, title, symbol, stops) => ({ name, title, symbol, stops, min: stops[0], max: stops.at(-1) });
const LAYER = [
  { name: "in_size", title: "image size", symbol: () => ["D", make("sub", {}, "F")], min: 1, max: 224 },
  { name: "kernel_size", title: "kernel size", symbol: () => ["D", make("sub", {}, "K")], min: 1, max: 11 },
  field("in_channels", "input channels", () => ["M"], doubled(10)),
  field("out_channels", "output channels", () => ["N"], doubled(10)),
  field("batch", "batch", () => ["B"], doubled(9)),
];
const MACHINE = [
  field("peak", "peak, GFLOP/s", none, STEPS),
  field("memory", "memory, GB/s", none, STEPS),
  field("cache_size", "cache, MiB", none, [0, ...doubled(10)]),
  field("cache", "cache, GB/s", none, STEPS),
];

export const compute = ({ in_size, kernel_size, in_channels, out_channels, batch, ...machine }) => {
  const pixels = batch * in_size ** 2;
  const taps = kernel_size ** 2;
  const [image, output] = [in_channels * pixels, out_channels * pixels];
  const pass = (flops, bytes) => {
    const cached = bytes <= machine.cache_size * 2 ** 20;
    const times = [flops / (machine.peak * 1e9), bytes / ((cached ? machine.cache : machine.memory) * 1e9)];
    const bound = times[0] >= times[1] ? "compute" : cached ? "cache" : "memory";
    return { flops, bytes, seconds: Math.max(...times), bounds: [bound] };
  };
  // A multiply-add is 2 FLOP. float32: each input and each weight read once, each output written once.
  const convolution = (macs, reads, params, writes) => pass(2 * macs, 4 * (reads + params + writes));
  const standard = convolution(taps * in_channels * output, image, taps * in_channels * out_channels, output);
  const depthwise = convolution(taps * image, image, taps * in_channels, image);
  const pointwise = convolution(in_channels * output, image, in_channels * out_channels, output);
  const passes = {
    flops: depthwise.flops + pointwise.flops, bytes: depthwise.bytes + pointwise.bytes,
    seconds: depthwise.seconds + pointwise.seconds, bounds: [...depthwise.bounds, ...pointwise.bounds],
  };
  // The map between the halves is neither written nor read.
  const fused = pass(passes.flops, passes.bytes - 2 * 4 * image);
  return { standard, depthwise, pointwise, passes, fused };
};

// As Python rounds it too.
const times = (a, b) => (Math.floor((10 * a) / b + 0.5) / 10).toLocaleString("en-GB", { minimumFractionDigits: 1 });
const sentence = ({ standard, passes, fused }) =>
  `The standard convolution makes ${times(standard.flops, fused.flops)} times the multiplications of the separable one. ` +
  `The least time that it takes is ${times(standard.seconds, passes.seconds)} times that of the two halves in two passes, ` +
  `and ${times(standard.seconds, fused.seconds)} times that of both in one pass, fused.`;

const short = (number) => Number(number.toPrecision(3));
const duration = (seconds) => {
  const [unit, size] = [["s", 1], ["ms", 1e-3], ["µs", 1e-6], ["ns", 1e-9], ["ps", 1e-12]]
    .find(([unit, size]) => unit === "ps" || short(seconds / size) >= 1);
  return `${grouped(short(seconds / size))}\u00a0${unit}`;
};

// ---- The picture: both axes are logarithms ----

const [WIDTH, LEFT, RIGHT, TOP, BOTTOM, LINE] = [352, 46, 334, 80, 260, 15];
const NAMES = { standard: "standard", depthwise: "depthwise", pointwise: "pointwise", passes: "two passes", fused: "fused" };
const LONGEST = 66; // of these names, drawn
const LETTER = 5.5; // of a label along a roof, on average

// From decade to decade, so that the axes stay while a dot moves.
const axes = (dots, { peak, memory, cache }) => {
  const [low, high] = [-1, Math.max(3, Math.ceil(Math.log10(peak / Math.min(memory, cache))))];
  const top = Math.ceil(Math.log10(peak));
  const bottom = Math.min(top - 2, ...dots.map(({ rate }) => Math.floor(Math.log10(rate))));
  const rightmost = Math.log10(Math.max(...dots.map(({ intensity }) => intensity)));
  const scale = (high) => {
    const x = (power) => LEFT + ((RIGHT - LEFT) * (power - low)) / (high - low);
    // The rightmost dot's name fits beside it.
    return x(rightmost) + LONGEST < WIDTH ? { low, high, top, bottom, x } : scale(high + 1);
  };
  return { ...scale(high), y: (power) => BOTTOM - ((BOTTOM - TOP) * (power - bottom)) / (top - bottom) };
};

const text = (x, y, content, rest = "") => `<text x="${x}" y="${y}" ${rest}>${content}</text>`;
const line = (name, ...points) => `<polyline class="${name}" points="${points.join(" ")}"/>`;
const powerOfTen = (e) => (e < 3 ? grouped(10 ** e) : `10${"³⁴⁵⁶⁷⁸⁹"[e - 3]}`);

const grid = ({ low, high, top, bottom, x, y }) => {
  const powers = (from, to) => [...Array(to - from + 1).keys()].map((k) => from + k);
  return [
    ...powers(low, high).map((e) =>
      line("grid", [x(e), TOP], [x(e), BOTTOM]) + text(x(e), BOTTOM + 15, powerOfTen(e), 'data-axis="x"')),
    ...powers(bottom, top).map((e) =>
      line("grid", [LEFT, y(e)], [RIGHT, y(e)]) + text(LEFT - 5, y(e) + 4, powerOfTen(e), 'class="end" data-axis="y"')),
    text((LEFT + RIGHT) / 2, BOTTOM + 32, "FLOP per byte"),
    text(0, 0, "GFLOP/s at most", `transform="translate(10 ${(TOP + BOTTOM) / 2}) rotate(-90)"`),
  ].join("");
};

// The slope of one bandwidth up to the peak. Its label is along it, above or below, where it is long enough.
const roof = ({ low, high, bottom, x, y }, peak, { name, bandwidth, above, label }) => {
  const [rate, flat] = [Math.log10(bandwidth), Math.log10(peak)];
  const ridge = Math.max(low, flat - rate);
  const from = Math.min(Math.max(low, bottom - rate), ridge);
  const [x0, y0, x1, y1] = [x(from), y(Math.min(flat, from + rate)), x(ridge), y(flat)];
  const lean = (180 / Math.PI) * Math.atan2(y1 - y0, x1 - x0);
  const along = `class="start along" transform="translate(${x0} ${y0}) rotate(${lean})"`;
  const fits = Math.hypot(x1 - x0, y1 - y0) > LETTER * label.length + 24;
  return line(name, [x0, y0], [x1, y1], [x(high), y1]) + (fits ? text(18, above ? -5 : 13, label, along) : "");
};

const roofs = (frame, { peak, memory, cache, cache_size }) => {
  const behind = { name: "roof", bandwidth: memory, above: cache_size && memory > cache,
    label: `memory: ${grouped(memory)} GB/s` };
  const near = { name: "roof cached", bandwidth: cache, above: !behind.above,
    label: `${grouped(cache_size)} MiB cache: ${grouped(cache)} GB/s` };
  const label = `peak: ${grouped(peak)} GFLOP/s`;
  const fits = RIGHT - frame.x(Math.log10(peak / memory)) > LETTER * label.length + 24;
  return [behind, ...(cache_size ? [near] : [])].map((one) => roof(frame, peak, one)).join("") +
    (fits ? text(RIGHT - 4, frame.y(Math.log10(peak)) + 18, label, 'class="end along"') : "");
};

const semicircle = (x, y, sweep) => `<path d="M${x} ${y - 6}a6 6 0 0 ${sweep} 0 12z"/>`;
const triangle = (x, y, side) => `<path d="M${x} ${y - 7.5}l${side * 7.5} 7.5 ${-side * 7.5} 7.5z"/>`;
const MARKS = {
  passes: (x, y) => [semicircle(x, y, 0), semicircle(x, y, 1)],
  fused: (x, y) => [triangle(x, y, -1), triangle(x, y, 1)],
};
const mark = (name, x, y) => {
  const halves = MARKS[name]?.(x, y);
  return halves
    ? `<g class="depthwise">${halves[0]}</g><g class="pointwise">${halves[1]}</g>`
    : `<circle class="${name}" cx="${x}" cy="${y}" r="6"/>`;
};

const picture = (works, machine) => {
  const dots = Object.entries(works).map(([name, { flops, bytes, seconds }]) =>
    ({ name, intensity: flops / bytes, rate: flops / seconds / 1e9 }));
  const frame = axes(dots, machine);
  // Names hang above the roof, the leftmost dot's highest: no line to a dot runs through another's name.
  const placed = dots.sort((a, b) => a.intensity - b.intensity).map(({ name, intensity, rate }, row) => {
    const [x, y, up] = [frame.x(Math.log10(intensity)), frame.y(Math.log10(rate)), 12 + LINE * row];
    const hung = line("leader", [x, y], [x, up - 9]) + text(x + 4, up, NAMES[name], 'class="start hung"');
    return { hung, dot: `<g class="dot" data-name="${name}">${mark(name, x, y)}</g>` };
  });
  const drawn = [grid(frame), roofs(frame, machine), ...placed.map(({ hung }) => hung), ...placed.map(({ dot }) => dot)];
  return `<svg viewBox="0 0 ${WIDTH} 296">${drawn.join("")}</svg>`;
};

const STYLE = `
  .result { min-height: 4.5em; font-size: 1.1em; font-weight: 600; }
  h3 { margin: 0.75rem 0 0.25rem; font-size: 1em; }
  svg { display: block; max-width: 30rem; margin: 0.5rem auto; fill: currentcolor; font-size: 12px; text-anchor: middle; }
  .start { text-anchor: start; }
  .end { text-anchor: end; }
  .along { font-size: 11px; }
  polyline { fill: none; stroke: currentcolor; stroke-width: 2; }
  .grid { stroke-width: 1; stroke-opacity: 0.15; }
  .cached { stroke-dasharray: 6 4; }
  .leader { stroke-width: 1; stroke-opacity: 0.4; }
  .dot :is(circle, path) { fill: var(--colour); stroke: currentcolor; stroke-width: 0.75; }
  th span { border-bottom: 3px solid var(--colour, #0072b2); }
  .both { border-image: linear-gradient(90deg, #0072b2 50%, #009e73 50%) 1; }
  .note { margin: 0.75rem 0 0; font-size: 0.9em; }
  @container (max-width: 32rem) { .result { min-height: 7.5em; font-size: 1em; } }
`;

const ROWS = { passes: "separable, two passes", fused: "separable, fused" };

const render = ({ model, el }) => {
  const root = stage({ model, el }, TABLE_STYLE + STYLE);
  const [layer, machine] = [LAYER, MACHINE].map((fields) => form(model, fields, () => ""));
  const result = announced("result"), drawing = make("div", { ariaHidden: "true" });
  const works = table("operation", "FLOP", "bytes", "FLOP per byte", "least time", "bound by");
  const heading = (textContent) => make("h3", { textContent });
  const note = make("p", { className: "note" },
    "A pass takes at least the longer of two times: that of its FLOP at the peak, 2 for each multiply-add, padding zeros " +
    "included, and that of its bytes, those of float32, each input and weight read once and each output written once. " +
    "Bytes come from the cache where all that the pass touches fits into it. The padding keeps the image’s size.");

  const draw = () => {
    for (const { show } of [layer, machine]) show();
    const computed = compute({ ...layer.values(), ...machine.values() });
    result.textContent = sentence(computed);
    drawing.innerHTML = picture(computed, machine.values());
    works.fill(Object.entries(computed).map(([name, { flops, bytes, seconds, bounds }]) => [
      make("span", { className: ROWS[name] ? "both" : name }, ROWS[name] ?? name),
      grouped(flops), grouped(bytes), grouped(short(flops / bytes)), duration(seconds), [...new Set(bounds)].join(", "),
    ]));
  };
  root.append(result, drawing, heading("Layer"), layer.element, heading("Machine"), machine.element, works.element, note);
  return follow(model, draw);
};

export default { render };
