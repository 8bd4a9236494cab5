// What one output number looks at, as SVG: the window on the sheets of the input, the number on a sheet of the output.
// Sheets stand for channels, four of them for more; of a map wider than six pixels six are drawn.

const PIXEL = 15, SLANT = 0.42, GAP = 26;

const square = (name, x, y, side) => {
  const [left, top, size] = [x, y, side].map((pixels) => PIXEL * pixels);
  return `<rect class="${name}" x="${left}" y="${top}" width="${size}" height="${size}"/>`;
};

// `width` times `width` pixels, from the one at (start, start) on, are marked on as many sheets as `marked` says.
const stack = (left, channels, size, { side, name, start, width, marked }) => {
  const places = channels > 4 ? [0, 1, 2, 4] : [...Array(channels).keys()];
  const top = 8 + (PIXEL * (6 - side)) / 2;
  const marks = Array.from({ length: width ** 2 }, (_, i) =>
    square(name, start + (i % width), start + Math.floor(i / width), 1));
  const sheets = places.map((place, index) =>
    `<g transform="translate(${left + GAP * place} ${top}) skewY(25) scale(${SLANT} 1)">` +
    `${square("sheet", 0, 0, side)}${index < marked ? marks.join("") : ""}</g>`);
  const dots = channels > 4 ? `<text x="${left + 3.6 * GAP}" y="64">…</text>` : "";
  const centre = PIXEL * (start + width / 2);
  const lean = 1 + SLANT * Math.tan((25 * Math.PI) / 180);
  return {
    drawn: `${sheets.join("")}${dots}<text x="${left + 70}" y="142">${shape(channels, size)}</text>`,
    points: places.slice(0, marked).map((place) => [left + GAP * place + SLANT * centre, top + lean * centre]),
  };
};

// A dotted line runs through all that the output number looks at, and ends in the number.
const picture = ({ in_channels, out_channels, in_size, out_size, kernel_size, stride, looked_at }) => {
  const side = Math.min(in_size, 6);
  const pixel = Math.min(1, out_size - 1);
  const start = pixel * stride - (kernel_size === 3);
  const window = { name: "looks", start, width: kernel_size, marked: looked_at };
  const number = { name: "gives", start: pixel, width: 1, marked: 1 };
  const from = stack(8, in_channels, in_size, { side, ...window });
  const to = stack(202, out_channels, out_size, { side: Math.ceil(side / stride), ...number });
  const line = `<polyline points="${[...from.points, ...to.points]}"/>`;
  return `<svg viewBox="0 0 352 150">${from.drawn}${to.drawn}${line}</svg>`;
};
