// Typesets formulas without a browser. Standard input: a list of pages, each a list of { tex, display }.
// Standard output: for each page the HTML of its formulas, and the style sheet that they need.
// Argument: the folder with MathJax.

const path = require("path");

const typeset = (MathJax, pages) => {
  const { adaptor, output } = MathJax.startup;
  return pages.map((formulas) => {
    output.clearCache();
    const html = formulas.map(({ tex, display }) => adaptor.outerHTML(MathJax.tex2chtml(tex, { display })));
    return { html, style: adaptor.textContent(MathJax.chtmlStylesheet()) };
  });
};

const main = async () => {
  const MathJax = await require(path.resolve(process.argv[2], "es5/node-main.js")).init({
    loader: { load: ["input/tex", "output/chtml", "a11y/assistive-mml"] },
    chtml: { fontURL: "FONTS" },
  });
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  process.stdout.write(JSON.stringify(typeset(MathJax, JSON.parse(Buffer.concat(chunks).toString()))));
};

main();
