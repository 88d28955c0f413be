// How sure the model was of a word, as people read it. Surprise is -log2 of the probability: 0 bits where nothing else
// was possible, 10 for one chance in a thousand.

const STEPS = [0.9, 0.6, 0.3, 0.1];

export const probability = ({ logprob }) => Math.min(1, Math.exp(logprob));

export const surprise = ({ logprob }) => Math.max(0, -logprob / Math.LN2);

/** The class of a word's tint: s0 (sure) to s4 (a guess), by the least likely of its tokens. */
export function sureness(word) {
  const least = Math.min(...word.tokens.map(probability));
  const step = STEPS.findIndex((edge) => least >= edge);
  return `s${step < 0 ? STEPS.length : step}`;
}

/** A share as people write it: 62 %, 3.4 %, 0.05 %, < 0.01 %. */
export function percent(share) {
  const value = share * 100;
  if (value >= 99.95) return "100 %";
  if (value >= 10) return `${value.toFixed(value > 99 ? 1 : 0)} %`;
  if (value >= 0.1) return `${value.toFixed(1)} %`;
  return value >= 0.01 ? `${value.toFixed(2)} %` : "< 0.01 %";
}

/** A token made visible: white space has signs, half a character is shown as its bytes. */
export function visible({ token, bytes }) {
  const text = bytes ? decode(bytes) : token;
  if (text === null) return `⟨${bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ")}⟩`;
  if (text === "") return token || "(nothing)";
  return text.replace(/^ +| +$/g, (run) => "␣".repeat(run.length)).replaceAll("\n", "⏎").replaceAll("\t", "⇥")
    .replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (sign) => `⟨${sign.codePointAt(0).toString(16).toUpperCase()}⟩`);
}

function decode(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
  } catch {
    return null;
  }
}
