// A convolution one output number at a time: what the window covers, what it makes, and what that costs.
// window.py puts two constants in front. ARRAYS: the input `x` and the `weight` of each operation, in PyTorch's layout
// without the batch. HALVES: the operations that run after each other.

const range = (count) => [...Array(count).keys()];
const add = (numbers) => numbers.reduce((sum, number) => sum + number, 0);
const signed = (number) => String(number).replace("-", "−");
const spoken = (rows) => rows.map((row) => row.map(signed).join(" ")).join(", ");

const sizes = (half) => {
  const { x, weight } = ARRAYS[half];
  const [inSide, size] = [x[0].length, weight[0][0].length];
  return { x, weight, inSide, size, outSide: inSide - size + 1 };
};

// The steps of an operation. Each writes one output number y[n, i, j], in the order of dsconv_lib/loops.py.
export const run = (operation) => {
  let macs = 0;
  return HALVES[operation].flatMap((half) => {
    const { x, weight, outSide } = sizes(half);
    return range(weight.length * outSide ** 2).map((k) => {
      const [n, i, j] = [Math.floor(k / outSide ** 2), Math.floor(k / outSide) % outSide, k % outSide];
      const channels = half === "depthwise" ? [n] : range(x.length);
      const products = channels.map((m, k) => weight[n][k].map((row, u) => row.map((tap, v) => tap * x[m][i + u][j + v])));
      const sums = products.map((rows) => add(rows.flat()));
      macs += products.flat(2).length;
      return { half, n, i, j, channels, products, sums, value: add(sums), macs };
    });
  });
};

const describe = ({ half, n, i, j, products, sums, value, macs }, { operation, steps, step }) => {
  const sum = sums.map((s, k) => (k ? ` ${s < 0 ? "−" : "+"} ${Math.abs(s)}` : signed(s))).join("");
  const result = sums.length > 1 ? `${sum} = ${signed(value)}` : sum;
  const name = half[0].toUpperCase() + half.slice(1) + (half === operation ? "" : " half");
  const sentence =
    `${name}, step ${step} of ${steps.length}: output channel ${n}, row ${i}, column ${j} is ${result}, ` +
    `from ${products.flat(2).length} products. ${macs} of ${steps.at(-1).macs} multiplications.`;
  return { equation: `y[0, ${n}, ${i}, ${j}] = ${result}`, sentence };
};

// A square of numbers, and a frame that slides over it.
const grid = (side) => {
  const frame = div("frame");
  const cells = range(side ** 2).map(() => make("span"));
  const element = make("div", { className: "grid", role: "img" }, frame, ...cells);
  element.style.setProperty("--side", side);
  // rows: the numbers, as far as there are any; framed: row, column and side of what is framed.
  const show = (rows, label, framed) => {
    const [top, left, size] = framed || [0, 0, 0];
    element.ariaLabel = label;
    frame.hidden = !framed;
    frame.style.cssText = `--top: ${top}; --left: ${left}; --size: ${size}`;
    cells.forEach((cell, k) => {
      const [i, j] = [Math.floor(k / side), k % side];
      cell.textContent = signed(rows[i]?.[j] ?? "");
      cell.className = top <= i && i < top + size && left <= j && j < left + size ? "on" : "";
    });
  };
  return { element, show };
};

// The picture of one operation: a row for each input channel, and the output beside them.
const picture = (half) => {
  const { x, weight, inSide, size, outSide } = sizes(half);
  const part = (above, { element }, below = "") => div("part", div("", above), element, div("", below));
  const span = () => make("span");
  const rows = x.map(() => ({ input: grid(inSide), filter: span(), kernel: grid(size), product: grid(size), sum: span() }));
  const outputs = weight.map(() => grid(outSide));
  const element = div(
    "picture",
    ...["input", "", "weights", "", "products", "", "output"].map((text) => div("heading", text)),
    ...rows.flatMap(({ input, filter, kernel, product, sum }, m) => [
      part(`channel ${m}`, input), div("", "×"), part(filter, kernel), div("", "="), part("", product, sum),
    ]),
    div("arrow", "→"),
    div("outputs", ...outputs.map((output, n) => part(`channel ${n}`, output))),
  );

  // made: the steps of this operation so far, the present one last.
  const show = (made) => {
    const { n, i, j, channels, products, sums } = made.at(-1);
    rows.forEach(({ input, filter, kernel, product, sum }, m) => {
      const k = channels.indexOf(m), read = k >= 0;
      const name = half === "depthwise" ? m : n;
      const taps = weight[name][half === "depthwise" ? 0 : m];
      const window = x[m].slice(i, i + size).map((row) => row.slice(j, j + size));
      const whole = read && [0, 0, size];
      const says = read ? `in the window: ${spoken(window)}` : "not read in this step";
      input.show(x[m], `Input channel ${m}, ${says}`, read && [i, j, size]);
      filter.textContent = `filter ${name}`;
      kernel.show(taps, `Weights of filter ${name} for channel ${m}: ${spoken(taps)}`, whole);
      product.show(products[k] ?? [], `Products in channel ${m}: ${read ? spoken(products[k]) : "none"}`, whole);
      sum.textContent = read && size > 1 ? `sum ${signed(sums[k])}` : "";
    });
    outputs.forEach((output, channel) => {
      const values = made.filter((step) => step.n === channel).map(({ value }) => value);
      const lines = range(Math.ceil(values.length / outSide)).map((i) => values.slice(i * outSide).slice(0, outSide));
      const label = `Output channel ${channel}, written so far: ${spoken(lines) || "nothing"}`;
      output.show(lines, label, channel === n && [i, j, 1]);
    });
  };
  return { half, element, show };
};

// What an operation reads, the loops that it leaves out, and its innermost lines where they differ.
const NESTS = {
  standard: {
    gone: {}, pixel: "x[b, m, i + u, j + v]", tap: "weight[n, m, u, v]",
    note: "All seven loops run. Each output number reads a window of every channel.",
  },
  depthwise: {
    gone: { m: "m = n" }, pixel: "x[b, m, i + u, j + v]", tap: "weight[n, 0, u, v]",
    note: "The loop over the input channels is gone. Each output number reads a window of one channel.",
  },
  pointwise: {
    gone: { u: "u = 0", v: "v = 0" }, pixel: "x[b, m, i, j]", tap: "weight[n, m, 0, 0]",
    note: "Both loops over the kernel are gone. Each output number reads one pixel of every channel. " +
      "The input is what the depthwise operation wrote.",
  },
};

// All seven loops of the standard convolution with their present values; what is left out is struck through.
const nest = ({ half, n, i, j, macs }) => {
  const { x, weight, outSide } = sizes(half);
  const { size } = sizes("standard");
  const { gone, pixel, tap } = NESTS[half];
  const loops = [["b", 1, 0], ["n", weight.length, n], ["i", outSide, i], ["j", outSide, j]];
  const inner = [["m", x.length], ["u", size], ["v", size]];
  const lines = [...loops, ...inner].map(([name, count, value]) => {
    const line = `for ${name} in range(${count}):`;
    return gone[name]
      ? [make("s", {}, line), make("b", {}, `gone: ${gone[name]}`)]
      : [line, `${name} = ${value ?? `0 … ${count - 1}`}`];
  });
  lines.push([`pixel = ${pixel}`], [`tap = ${tap}`], ["y[b, n, i, j] += tap * pixel"], ["macs += 1", `macs = ${macs}`]);
  return lines.map(([line, value = ""], k) => {
    const item = make("li", {}, make("code", {}, line), value);
    item.style.setProperty("--depth", Math.min(k, 7));
    return item;
  });
};

const STYLE = `
  .figure { --rule: color-mix(in srgb, currentcolor 28%, transparent); font-variant-numeric: tabular-nums; }
  .separable { --colour: #0072b2; --second: #009e73; }
  fieldset { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 0.3rem 0.4rem; margin: 0; padding: 0; border: 0; }
  legend { margin-bottom: 0.3rem; padding: 0; font-size: 0.85rem; }
  .spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  label {
    position: relative; min-height: 44px; padding: 0.3rem 0.5rem 0.5rem; border: 2px solid var(--rule); border-radius: 8px;
    font-size: min(0.9rem, 3.6cqi); line-height: 1.35;
  }
  label:has(:checked) { border-color: currentcolor; }
  label input { position: absolute; inset: 0; width: 100%; height: 100%; opacity: 0; cursor: pointer; }
  label b { display: block; font-size: 1.2rem; font-weight: 400; }
  :checked + b { font-weight: 700; }
  label:has(:focus-visible), button:focus-visible { outline: 3px solid currentcolor; outline-offset: 2px; }
  .bar { position: relative; height: 6px; margin-top: 0.25rem; }
  .bar div {
    position: absolute; inset: 0; border-radius: 2px; opacity: 0.4;
    background: linear-gradient(90deg, var(--colour) var(--first), var(--second, var(--colour)) 0);
  }
  .bar div + div { opacity: 1; clip-path: inset(0 calc(100% - var(--done)) 0 0); }
  .controls { display: grid; grid-template-columns: auto auto auto 1fr auto; gap: 0.5rem; align-items: center; margin: 0.75rem 0; }
  button {
    min-height: 44px; padding: 0 0.9rem; border: 2px solid currentcolor; border-radius: 8px; background: none;
    color: inherit; font: inherit; cursor: pointer;
  }
  button:nth-child(2) { min-width: 5.5rem; font-weight: 700; }
  [aria-disabled="true"] { opacity: 0.5; cursor: default; }
  .position { min-width: 11.5ch; font-size: min(0.95rem, 4.4cqi); text-align: right; white-space: nowrap; }
  .result { display: grid; align-items: baseline; margin-bottom: 0.75rem; }
  .result p { margin: 0; white-space: nowrap; }
  .result b { font-size: 1.3rem; }
  .equation { font: min(1rem, 4.8cqi) monospace; }
  .main { display: grid; gap: 1rem 1.75rem; }
  .picture {
    --cell: min(24px, 6cqi); --line: 1.15rem; display: grid; grid-template-rows: auto;
    grid-template-columns: calc(5 * var(--cell)) repeat(3, 1fr calc(3 * var(--cell)));
    grid-auto-rows: calc(5 * var(--cell) + 2 * var(--line)); align-items: center; justify-items: center;
    font-size: 0.75rem; line-height: var(--line); white-space: nowrap;
  }
  .heading { font-size: 0.8rem; font-weight: 700; }
  .part { display: grid; grid-template-rows: var(--line) auto var(--line); justify-items: center; }
  .arrow { grid-area: 2 / 6 / span 3; font-size: 1rem; }
  .outputs { grid-area: 2 / 7 / span 3; display: grid; align-content: space-around; height: 100%; }
  .grid {
    position: relative; display: grid; grid-template: repeat(var(--side), var(--cell)) / repeat(var(--side), var(--cell));
    border: solid var(--rule); border-width: 0 1px 1px 0; font-size: calc(0.58 * var(--cell)); line-height: calc(var(--cell) - 1px); text-align: center;
  }
  .grid span { position: relative; border: solid var(--rule); border-width: 1px 0 0 1px; color: color-mix(in srgb, currentcolor 72%, transparent); }
  .grid .on { color: inherit; }
  .frame {
    position: absolute; box-sizing: border-box; width: calc(var(--size) * var(--cell) + 3px); aspect-ratio: 1; margin: -1px;
    border: 2.5px solid var(--colour); border-radius: 3px; background: color-mix(in srgb, var(--colour) 24%, transparent);
    translate: calc(var(--left) * var(--cell)) calc(var(--top) * var(--cell)); transition: translate 0.25s;
  }
  ol { margin: 0 0 1rem; padding: 0; list-style: none; font: 0.75rem/2.1 monospace; }
  li { display: flex; justify-content: space-between; padding-left: calc(0.6em * var(--depth)); border-bottom: 1px solid var(--rule); white-space: pre; }
  code { font: inherit; }
  .note { min-height: 7.5em; margin: 0; font-size: 0.9rem; }
  @container (min-width: 40rem) {
    .result { grid-template-columns: 1fr auto; }
    .main { grid-template-columns: 24.25rem minmax(0, 1fr); }
    ol { margin-top: 1.15rem; }
  }
  @container (max-width: 32rem) {
    label { padding: 0.25rem 0.35rem 0.4rem; }
    .controls { grid-template-columns: repeat(6, 1fr); }
    :is(button, .position) { grid-column: span 2; min-width: 0; }
    .controls input { grid-column: span 4; }
    ol { line-height: 1.8; }
  }
`;

const render = ({ model, el }) => {
  const root = stage({ model, el }, STYLE);
  const runs = Object.fromEntries(Object.keys(HALVES).map((name) => [name, run(name)]));
  const most = Math.max(...Object.values(runs).map((steps) => steps.at(-1).macs));
  const present = () => {
    const operation = model.get("operation");
    const steps = runs[operation];
    return { operation, steps, step: Math.min(model.get("step"), steps.length) };
  };
  const set = (values) => change(model, values);
  const isLast = () => present().step === present().steps.length;

  // Whatever the reader moves, it stops playing.
  let timer;
  const pause = () => {
    clearInterval(timer);
    timer = undefined;
    draw();
  };
  const go = (step) => {
    pause();
    set({ step: Math.min(Math.max(step, 1), present().steps.length) });
  };
  const button = (textContent, onclick) => make("button", { type: "button", textContent, onclick });
  const back = button("Back", () => go(present().step - 1));
  const next = button("Next", () => go(present().step + 1));
  const play = button("Play", () => {
    if (timer) return pause();
    timer = setInterval(() => {
      set({ step: present().step + 1 });
      if (isLast()) pause();
    }, 900);
    if (isLast()) set({ step: 1 });
    draw();
  });
  const slider = make("input", { type: "range", min: 1, ariaLabel: "step", oninput: () => go(slider.valueAsNumber) });
  const position = make("span", { className: "position", ariaHidden: "true" });

  const choices = Object.entries(runs).map(([name, steps]) => {
    const total = steps.at(-1).macs;
    const first = steps.findLast(({ half }) => half === HALVES[name][0]).macs;
    const bar = div("bar", div(""), div(""));
    bar.style.cssText = `width: ${(100 * total) / most}%; --first: ${(100 * first) / total}%`;
    const radio = make("input", { type: "radio", name: "operation" });
    radio.onchange = () => {
      pause();
      set({ step: 1, operation: name });
    };
    const label = make("label", { className: name }, name, radio, make("b", {}, `${total}`), bar);
    return { name, total, bar, radio, label };
  });

  const equation = make("p", { className: "equation" });
  const count = make("p");
  const sentence = announced("spoken");
  const loops = make("ol", { ariaLabel: "loops" });
  const note = make("p", { className: "note" });
  const main = div("main", "", div("", loops, note));

  let shown = {};
  const draw = () => {
    const state = present();
    const { operation, steps, step } = state;
    const now = steps[step - 1];
    if (shown.half !== now.half) {
      shown = picture(now.half);
      main.className = `main ${now.half}`;
      main.firstChild.replaceWith(shown.element);
    }
    shown.show(steps.slice(0, step).filter(({ half }) => half === now.half));
    loops.replaceChildren(...nest(now));
    const which = HALVES[operation].length > 1 ? ["First half. ", "Second half. "][HALVES[operation].indexOf(now.half)] : "";
    note.textContent = which + NESTS[now.half].note;
    const said = describe(now, state);
    equation.textContent = said.equation;
    count.replaceChildren(make("b", {}, `${now.macs}`), ` of ${steps.at(-1).macs} multiplications`);
    // While it plays, nothing is announced.
    if (!timer) sentence.textContent = said.sentence;
    play.textContent = timer ? "Pause" : "Play";
    back.ariaDisabled = step === 1;
    next.ariaDisabled = isLast();
    slider.max = steps.length;
    slider.value = step;
    slider.ariaValueText = position.textContent = `step ${step} of ${steps.length}`;
    for (const { name, total, bar, radio } of choices) {
      radio.checked = name === operation;
      bar.style.setProperty("--done", `${radio.checked ? (100 * now.macs) / total : 0}%`);
    }
  };
  const result = make("div", { className: "result", ariaHidden: "true" }, equation, count);
  const legend = make("legend", {}, "Operation, and the multiplications it makes");
  root.append(
    make("fieldset", {}, legend, ...choices.map(({ label }) => label)),
    div("controls", back, play, next, slider, position), result, sentence, main,
  );
  const leave = follow(model, draw);
  return () => {
    clearInterval(timer);
    leave();
  };
};

export default { render };
