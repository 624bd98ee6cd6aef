// The answers: how they are read from the page, which of them are wanted, and in which order.
const facts = JSON.parse(document.getElementById("facts").textContent);
const say = facts.words;

// Widths and cases do not matter in a search.
const folded = (text) => text.normalize("NFKC").toLowerCase();

const unpacked = async (text) => {
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
};

const isWantedAnswer = (answer, wanted) =>
  (!wanted.arm || answer.arm === wanted.arm) &&
  (!wanted.outcome || answer.outcome === wanted.outcome) &&
  (!wanted.flip || (answer.flip && (wanted.flip === "both" || answer.flip === wanted.flip)));

const searchedTexts = function* (question) {
  yield* [question.item_id, question.question, question.expected, question.criteria];
  for (const answer of question.answers) yield* [answer.text, answer.answer, ...(answer.earlier_texts || [])];
};

const contains = (question, needle) => {
  for (const text of searchedTexts(question)) if (text && folded(text).includes(needle)) return true;
  return false;
};

const isWanted = (question, wanted) =>
  ["benchmark", "model", "seed"].every((name) => !wanted[name] || String(question[name]) === wanted[name]) &&
  question.answers.some((answer) => isWantedAnswer(answer, wanted)) &&
  (!wanted.query || contains(question, wanted.query));

const scoreChange = (question, answer) => (answer.score_difference || 0) / facts.widths[question.benchmark];
const compared = (question, arm) => question.answers.filter((one) => !arm || one.arm === arm);

// As the page is sorted, but by one arm: flips, then the difference in score, then that of the texts.
const difference = (question, arm) => {
  const [answer] = compared(question, arm);
  if (!answer) return 0;
  return (answer.flip ? 1e6 : 0) + 1e3 * Math.abs(scoreChange(question, answer)) + (answer.text_difference || 0);
};
const loss = (question, arm) => Math.max(0, ...compared(question, arm).map((one) => -scoreChange(question, one)));
const gain = (question, arm) => Math.max(0, ...compared(question, arm).map((one) => scoreChange(question, one)));

const byName = new Intl.Collator(undefined, { numeric: true }).compare;
const benchmarks = Object.keys(facts.titles);
const byQuestion = (one, other) =>
  benchmarks.indexOf(one.benchmark) - benchmarks.indexOf(other.benchmark) ||
  byName(one.item_id, other.item_id) ||
  one.seed - other.seed ||
  byName(one.model, other.model);

// Equal ones stay as the page has them: the largest differences first.
const largestFirst = (questions, measure) => {
  const sizes = new Map(questions.map((question) => [question, measure(question)]));
  return questions.sort((one, other) => sizes.get(other) - sizes.get(one));
};

const inOrder = (questions, wanted) => {
  if (wanted.order === "question") return [...questions].sort(byQuestion);
  const measure = { loss, gain }[wanted.order] || (wanted.arm ? difference : null);
  return measure ? largestFirst([...questions], (question) => measure(question, wanted.arm)) : questions;
};

// With one arm wanted, its answer stands beside that of its reference only.
const shownAnswers = (question, wanted) =>
  wanted.arm
    ? question.answers.filter((one) => one.arm === wanted.arm || one.arm === facts.references[wanted.arm])
    : question.answers;
