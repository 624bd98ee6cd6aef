// What is on the screen: cards of questions, a page of them at a time, and what keys and filters do.
const PAGE = 10;
const MOST_MARKS = 200;
const form = document.getElementById("filters");
const search = document.getElementById("search");
const list = document.getElementById("list");
const status = document.getElementById("status");
const order = document.getElementById("order");
const pager = document.getElementById("pager");
const loaded = [];
let shown = [];
let wanted = {};
let page = 0;
let isComplete = false;

const make = (tag, className, ...children) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.filter((one) => one !== null && one !== undefined && one !== ""));
  return element;
};

// Texts of models and data sets only ever become text.
const box = (text) => {
  const element = make("div", "text");
  element.dir = "auto";
  const lower = text.toLowerCase();
  let from = 0;
  if (wanted.query && lower.length === text.length) {
    for (let at = lower.indexOf(wanted.query), n = 0; at >= 0 && n < MOST_MARKS; at = lower.indexOf(wanted.query, from), n += 1) {
      const end = at + wanted.query.length;
      element.append(text.slice(from, at), make("mark", "", text.slice(at, end)));
      from = end;
    }
  }
  element.append(text.slice(from));
  return element;
};

const titled = (title, text) => (text ? make("div", "", make("h4", "", title), box(text)) : null);

const inWords = (code) => facts.codes[code] || code;
const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toLocaleString(document.documentElement.lang)}`;
const plain = (value) => value.toLocaleString(document.documentElement.lang);
const percent = (share) => `${Math.round(100 * share)}%`;

const factsOf = (answer) => {
  const line = make("p", "facts");
  const outcome = `${facts.marks[answer.outcome] || "·"} ${inWords(answer.outcome)}`;
  const parts = [make("span", `outcome ${answer.outcome}`, outcome)];
  if (answer.flip) parts.push(make("span", "flip", say[answer.flip]));
  if (answer.reason) parts.push(inWords(answer.reason));
  if (answer.score !== undefined && !(answer.outcome === "correct" || answer.outcome === "wrong")) {
    const against = answer.score_difference === undefined ? "" : ` (${signed(answer.score_difference)})`;
    parts.push(`${say.score} ${plain(answer.score)}${against}`);
  }
  if (answer.text_difference !== undefined) {
    parts.push(answer.text_difference === 0 ? say.same_text : `${say.text_difference} ${percent(answer.text_difference)}`);
  }
  if (answer.completion_tokens !== undefined) {
    const thoughts = answer.thought_tokens ? ` (${say.thoughts} ${plain(answer.thought_tokens)})` : "";
    parts.push(`${plain(answer.completion_tokens)} ${say.tokens}${thoughts}`);
  }
  parts.forEach((part, place) => line.append(...(place ? [" · ", part] : [part])));
  return line;
};

const fold = (title, ...children) => make("details", "", make("summary", "", title), ...children);

const scoreOf = (verdict) => (verdict.score === undefined ? say.no_score : plain(verdict.score));

// A judge's score and reason are to be read; all that it wrote is there for checking.
const verdictParts = (verdict, hasTurns) => {
  const turn = hasTurns ? [`${say.turn} ${verdict.turn + 1}`] : [];
  const score = verdict.score === undefined ? inWords(verdict.reason) : `${say.score} ${scoreOf(verdict)}`;
  const title = [verdict.judge, ...turn, `${say.repeat} ${verdict.repeat + 1}`, score];
  const parts = [make("h4", "", title.join(" · "))];
  if (verdict.said) parts.push(box(verdict.said));
  if (verdict.text) parts.push(fold(say.judge_text, box(verdict.text)));
  return parts;
};

const verdictsOf = (answer) => {
  if (!answer.verdicts) return null;
  const hasTurns = answer.verdicts.some((one) => one.turn > 0);
  const judges = [...new Set(answer.verdicts.map((one) => one.judge))];
  const scoresOf = (judge) => answer.verdicts.filter((one) => one.judge === judge).map(scoreOf).join(", ");
  const scores = judges.map((judge) => `${judge} ${scoresOf(judge)}`);
  return fold(`${say.judges}: ${scores.join(" · ")}`, ...answer.verdicts.flatMap((one) => verdictParts(one, hasTurns)));
};

const answerCard = (answer, isReference) => {
  const earlier = (answer.earlier_texts || []).map((text, place) => titled(`${say.turn} ${place + 1}`, text));
  const last = earlier.length ? `${say.turn} ${earlier.length + 1}` : say.text;
  const extracted = answer.answer === undefined ? null : make("p", "facts", `${say.answer}: `, make("bdi", "extracted", answer.answer));
  return make(
    "section",
    `answer ${isReference ? "reference" : ""} ${answer.flip || ""}`,
    make("h3", "", answer.arm, isReference ? ` (${say.reference})` : ""),
    factsOf(answer),
    extracted,
    ...earlier,
    titled(last, answer.text === "" ? say.empty : answer.text),
    answer.thoughts ? fold(say.thoughts, box(answer.thoughts)) : null,
    verdictsOf(answer),
  );
};

const card = (question, place) => {
  const names = [facts.titles[question.benchmark], question.item_id, `${say.seed} ${question.seed}`];
  if (facts.several_models) names.push(question.model);
  const title = make("h2", "", names.join(" · "));
  title.id = `question-${place}`;
  const references = new Set(Object.values(facts.references));
  const article = make(
    "article",
    "",
    make("header", "", title, make("span", "count", `${plain(place + 1)} / ${plain(shown.length)}`)),
    make(
      "div",
      "asked",
      titled(say.question, question.question),
      titled(question.criteria ? say.model_answer : say.expected, question.expected),
      titled(say.criteria, question.criteria),
    ),
    make("div", "answers", ...shownAnswers(question, wanted).map((one) => answerCard(one, references.has(one.arm)))),
  );
  article.tabIndex = -1;
  article.setAttribute("aria-labelledby", title.id);
  return article;
};

// What is counted of the comparisons that are shown. Counted anew only when others are shown.
let counted = { of: null };
const counts = () => {
  if (counted.of !== shown) {
    const items = new Set(shown.map((question) => `${question.benchmark} ${question.item_id}`)).size;
    const answers = shown.reduce((sum, question) => sum + shownAnswers(question, wanted).length, 0);
    counted = { of: shown, shown: shown.length, all: facts.n_comparisons, items, answers };
  }
  return counted;
};

const nPages = () => Math.max(1, Math.ceil(shown.length / PAGE));

const showStatus = () => {
  const text = say.counts.replace(/\{(\w+)\}/g, (_, name) => plain(counts()[name]));
  status.textContent = `${text}${isComplete ? "" : ` · ${say.loading}`}`;
  pager.hidden = nPages() === 1;
  document.getElementById("place").textContent = `${plain(page + 1)} / ${plain(nPages())}`;
  document.getElementById("previous").disabled = page === 0;
  document.getElementById("next").disabled = page === nPages() - 1;
};

// A text that has to be scrolled can be reached with the keyboard.
const letScroll = (element) => {
  if (element.scrollHeight <= element.clientHeight) return;
  element.tabIndex = 0;
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", element.previousElementSibling?.textContent || say.text);
};

// A folded text has no height until it is unfolded. This event does not bubble.
list.addEventListener("toggle", (event) => event.target.querySelectorAll(".text").forEach(letScroll), true);

const showPage = (wantedPage) => {
  page = Math.min(Math.max(0, wantedPage), nPages() - 1);
  const from = page * PAGE;
  list.replaceChildren(...shown.slice(from, from + PAGE).map((question, place) => card(question, from + place)));
  if (!shown.length && isComplete) list.append(make("p", "note", say.nothing));
  list.querySelectorAll(".text").forEach(letScroll);
  showStatus();
};

const applyFilters = () => {
  wanted = Object.fromEntries(new FormData(form));
  wanted.query = folded(wanted.query.trim());
  shown = inOrder(loaded.filter((question) => isWanted(question, wanted)), wanted);
  order.textContent = say.orders[wanted.order] || order.textContent;
  showPage(0);
};

const goTo = (article) => {
  article.focus({ preventScroll: true });
  article.scrollIntoView({ block: "start" });
};

// Steps to the question after or before the one in focus, on to the next page or back to the one before.
const move = (step) => {
  const cards = [...list.querySelectorAll("article")];
  const place = cards.indexOf(document.activeElement.closest("article")) + step;
  const wantedPage = page + step;
  if (place >= 0 && place < cards.length) return goTo(cards[place]);
  if (wantedPage < 0 || wantedPage >= nPages()) return;
  showPage(wantedPage);
  goTo(list.querySelector(step > 0 ? "article" : "article:last-of-type"));
};

const actions = { j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), "/": () => search.focus() };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && event.target === search) search.blur();
  // Arrows scroll a text or the page, unless a question is in focus.
  const isFree = event.key.startsWith("Arrow") ? event.target.matches("article") : !event.target.matches("input, select");
  if (!isFree || !actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
});

let waiting = 0;
form.addEventListener("input", (event) => {
  clearTimeout(waiting);
  waiting = setTimeout(applyFilters, event.target === search ? 150 : 0);
});
form.addEventListener("reset", () => setTimeout(applyFilters));
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("previous").addEventListener("click", () => (showPage(page - 1), list.focus()));
document.getElementById("next").addEventListener("click", () => (showPage(page + 1), list.focus()));

const load = async () => {
  for (const element of document.querySelectorAll("script.answers")) {
    const questions = await unpacked(element.textContent);
    element.remove();
    for (const one of questions) loaded.push(one);
    const isFirst = loaded.length === questions.length;
    shown = inOrder([...shown, ...questions.filter((question) => isWanted(question, wanted))], wanted);
    // What somebody reads stays as it is while more comes in behind it.
    if (isFirst || list.children.length < PAGE) showPage(page);
    else showStatus();
    await new Promise((done) => setTimeout(done));
  }
  isComplete = true;
  // In another order than that of the page, what came last may stand first.
  if (shown.length && (list.contains(document.activeElement) || !(wanted.arm || wanted.order))) showStatus();
  else showPage(page);
};

if (window.DecompressionStream) load();
else status.textContent = say.old_browser;
