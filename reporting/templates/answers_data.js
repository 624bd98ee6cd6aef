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

// As the page is sorted, but by one arm: flips, then the difference in score, then that of the texts.
const weight = (question, arm) => {
  const answer = question.answers.find((one) => one.arm === arm);
  if (!answer) return 0;
  const score = Math.abs(answer.score_difference || 0) / facts.widths[question.benchmark];
  return (answer.flip ? 1e6 : 0) + 1e3 * score + (answer.text_difference || 0);
};

const inOrder = (questions, wanted) =>
  wanted.arm ? [...questions].sort((one, other) => weight(other, wanted.arm) - weight(one, wanted.arm)) : questions;

// With one arm wanted, its answer stands beside that of its reference only.
const shownAnswers = (question, wanted) =>
  wanted.arm
    ? question.answers.filter((one) => one.arm === wanted.arm || one.arm === facts.references[wanted.arm])
    : question.answers;
