// Makes a book for paper of the page that has all chapters. Runs in that page.

(licence) => {
  const make = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const article = document.querySelector("article");
  const title = article.querySelector("h1");
  all(".headerlink", article).forEach((link) => link.remove());
  // A formula's hidden text for screen readers does not get into a PDF: one tag says it, in place of one for each glyph.
  for (const formula of all("mjx-container", article)) {
    formula.querySelector("mjx-assistive-mml").remove();
    formula.removeAttribute("tabindex");
    formula.setAttribute("role", "img");
    formula.setAttribute("aria-label", formula.dataset.tex);
  }

  // ---- Chapters ----------------------------------------------------------------------------------

  const intro = make("section", { id: "document-introduction", className: "chapter" });
  intro.append(make("h2", { textContent: "Introduction" }));
  const opening = [...title.parentElement.children].filter((part) => !part.matches("h1, .toctree-wrapper"));
  intro.append(...opening);
  article.prepend(intro);
  all("section > h2", intro).forEach((old) => old.parentElement !== intro && old.replaceWith(make("h3", {}, ...old.childNodes)));
  const chapters = all("span[id^='document-']", article).map((mark) => {
    const chapter = mark.nextElementSibling;
    chapter.classList.add("chapter");
    return { name: mark.id, chapter };
  });

  // Two chapters may have sections of the same name. A link leads to the one in its own chapter.
  const homes = new Map();
  for (const { name, chapter } of chapters) {
    const own = new Map();
    for (const part of [chapter, ...all("[id]", chapter)]) {
      if (!part.id) continue;
      const unique = homes.has(part.id) ? `${name}-${part.id}` : part.id;
      if (!homes.has(part.id)) homes.set(part.id, part);
      own.set(part.id, unique);
      part.id = unique;
    }
    for (const link of all("a[href*='#']", chapter)) {
      const target = link.getAttribute("href").split("#").pop();
      const here = /^(#|[^:]*\.html#)/.test(link.getAttribute("href"));
      if (here) link.setAttribute("href", `#${own.get(target) ?? target}`);
    }
    // The chapter's own name: what links to the whole page say.
    chapter.prepend(make("a", { id: name }));
    article.querySelector(`span[id="${CSS.escape(name)}"]`).remove();
  }
  for (const link of all("a[href]:not([href*=':']):not([href^='#'])", article)) link.replaceWith(...link.childNodes);

  // ---- Questions: the options stay, what they answer goes to the end of the chapter ----------------

  for (const { name, chapter } of chapters) {
    const answers = make("section", {}, make("h3", { textContent: "Answers" }));
    const first = "details:not([class]):has(+ details:not([class])):not(details:not([class]) + *)";
    all(first, chapter).forEach((start, index) => {
      const run = [];
      for (let next = start; next?.matches("details:not([class])"); next = next.nextElementSibling) run.push(next);
      const [question, answer] = ["question", "answer"].map((word) => `${name}-${word}-${index + 1}`);
      const letters = make("ol", { className: "options", id: question });
      const told = make("ol", { className: "options" });
      start.before(letters, make("p", {}, make("a", { href: `#${answer}`, textContent: `Answers to question ${index + 1}` })));
      for (const option of run) {
        const summary = option.querySelector("summary");
        letters.append(make("li", {}, ...summary.childNodes));
        summary.remove();
        told.append(make("li", {}, ...option.childNodes));
        option.remove();
      }
      const back = make("a", { href: `#${question}`, textContent: `Question ${index + 1}` });
      answers.append(make("p", { id: answer }, back), told);
    });
    if (answers.children.length > 1) chapter.append(answers);
  }

  // ---- Figures that a reader moves: the state they begin with --------------------------------------

  const still = "input[type=range], button, [type=checkbox] { display: none !important } input { border: 0 !important; padding: 0 !important } .field { min-height: 0 }";
  for (const figure of all("[role=group]", article)) figure.shadowRoot?.append(make("style", { textContent: still }));

  // ---- Title and contents ---------------------------------------------------------------------------

  const entry = (target, text, ...inner) => {
    const number = make("span", { className: "page" });
    number.dataset.target = target;
    return make("li", {}, make("a", { href: `#${target}` }, text, number), ...inner);
  };
  const contents = make("nav", { className: "book-contents" }, make("h2", { textContent: "Contents" }));
  contents.append(make("ol", {}, entry(intro.id, "Introduction")));
  for (const caption of all("#jb-print-toc .caption")) {
    const list = make("ol");
    for (const link of all(":scope > li > a", caption.nextElementSibling)) {
      const name = link.getAttribute("href").split("#").pop();
      const { chapter } = chapters.find((one) => one.name === name);
      const sections = all(":scope > section", chapter).filter((one) => one.id);
      const inner = make("ol", {}, ...sections.map((one) => entry(one.id, one.querySelector("h3").textContent)));
      list.append(entry(name, link.textContent.trim(), inner));
    }
    contents.append(make("h3", { textContent: caption.textContent }), list);
  }
  const imprint = make("p", { className: "imprint" }, document.querySelector(".component-author").textContent.trim());
  imprint.append(make("br"), licence);
  const cover = make("header", { className: "title-page" }, document.querySelector(".navbar-brand img").cloneNode());
  cover.append(title, imprint);

  article.classList.add("book");
  article.replaceChildren(cover, contents, intro, ...chapters.map(({ chapter }) => chapter));
  document.body.replaceChildren(make("main", {}, article));
}
