//! How much memory a training takes, by its plan alone, before a number of it exists.
//!
//! Counted in f32: the weights, their gradients and the two moments of each; what the tape of a step keeps for the way
//! back; what exists beside it for a moment. What is used by turns is counted once, at its largest.

use crate::dial::{Kind, Plan};

/// Bytes of a number.
const NUMBER: u64 = 4;
/// Logits are computed in chunks of rows: bytes of a chunk, and how few and many rows it has. Source: `kernels::cross_entropy`.
const CHUNK_BYTES: u64 = 32 << 20;
const CHUNK_ROWS: [u64; 2] = [64, 512];
/// Vocabulary, tokens, operands as threads pack them, and what the program has beside them.
const EXTRA_BYTES: u64 = 64 << 20;

/// The sizes of a plan as numbers of one kind.
struct Counts {
    /// Rows that are computed together, `R`.
    rows: u64,
    width: u64,
    layers: u64,
    /// Width of all queries, and of all keys.
    queries: u64,
    keys: u64,
    heads: u64,
    /// Width of the feed-forward block, and how many such rows the tape keeps of each.
    feed_forward: u64,
    kept_inner: u64,
    vocabulary: u64,
}

impl Plan {
    /// Bytes that the training takes at most, beside what the program holds without it.
    pub fn memory_bytes(&self) -> u64 {
        let counts = self.counts();
        let weights = self.sizes.n_values().saturating_mul(NUMBER);
        // Weights, first and second moments, gradients; gradients that are added up exist twice.
        let learned = weights.saturating_mul(if self.settings.accumulation > 1 { 5 } else { 4 });
        let numbers = counts.taped(self.settings.segments as u64).saturating_add(counts.passing());
        let step = numbers.saturating_mul(NUMBER).saturating_add(counts.chunk_bytes());
        learned.saturating_add(step).saturating_add(counts.written_bytes()).saturating_add(EXTRA_BYTES)
    }

    fn counts(&self) -> Counts {
        let (sizes, settings) = (&self.sizes, &self.settings);
        let head = sizes.width / sizes.heads.max(1);
        Counts {
            rows: settings.batch.saturating_mul(settings.length) as u64,
            width: sizes.width as u64,
            layers: sizes.layers as u64,
            queries: (sizes.heads * head) as u64,
            keys: (sizes.kv_heads * head) as u64,
            heads: sizes.heads as u64,
            feed_forward: sizes.feed_forward as u64,
            // What the gate and the way beside it give, and their product; or one way before and behind its curve.
            kept_inner: if sizes.family == Kind::Llama { 3 } else { 2 },
            vocabulary: sizes.vocabulary as u64,
        }
    }
}

impl Counts {
    /// Numbers of a row that a layer leaves on the tape: the stream and its sum with what attention adds, each before and
    /// behind its norm; queries, keys, values, what attention makes of them and the sums of its weights; the inner rows.
    fn of_layer(&self) -> u64 {
        4 * self.width + 2 * self.queries + 2 * self.keys + self.heads + self.kept_inner * self.feed_forward
    }

    /// Numbers on the tape of the longest segment, with the streams between segments.
    fn taped(&self, n_segments: u64) -> u64 {
        let n_segments = n_segments.clamp(1, self.layers.max(1));
        let layers = self.layers.div_ceil(n_segments);
        let row = layers * self.of_layer() + n_segments * self.width;
        self.rows.saturating_mul(row)
    }

    /// Numbers that exist for a moment beside the tape: the gradients within a layer on the way back, and the rows of a
    /// layer when the held-out part is measured, which has memory of its own.
    fn passing(&self) -> u64 {
        let gradients = 3 * self.feed_forward + 4 * self.width;
        let attending = 2 * self.width + 3 * self.queries + 3 * self.keys;
        let fed = 3 * self.width + 3 * self.feed_forward;
        self.rows.saturating_mul(gradients + attending.max(fed))
    }

    /// A chunk of logits with the rows that they come from, and those rows' gradients.
    fn chunk_bytes(&self) -> u64 {
        let [fewest, most] = CHUNK_ROWS;
        let rows = (CHUNK_BYTES / (NUMBER * self.vocabulary.max(1))).clamp(fewest, most);
        NUMBER * rows * (self.vocabulary + 2 * self.width)
    }

    /// The largest tensor twice, as it is when it is written to a checkpoint.
    fn written_bytes(&self) -> u64 {
        2 * NUMBER * self.width * self.vocabulary.max(self.feed_forward)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Facts, Knobs, Size};

    fn bytes(knobs: Knobs) -> u64 {
        let facts = Facts { n_tokens: 3_000_000, vocabulary: 4096, has_16_bit_units: false };
        knobs.plan(facts).unwrap().memory_bytes()
    }

    #[test]
    fn weights_count_four_times_and_rows_as_often_as_layers_keep_them() {
        let knobs = |batch| Knobs { size: Size::Tiny, batch: Some(batch), ..Knobs::default() };
        let plan =
            knobs(1).plan(Facts { n_tokens: 3_000_000, vocabulary: 4096, has_16_bit_units: false }).unwrap();
        assert!(bytes(knobs(1)) > 16 * plan.sizes.n_values());
        // Six layers of 4·256 + 4·256 + 4 + 3·768 numbers, the stream, and what passes: gradients and a forward pass.
        let row = 4 * (6 * (1024 + 1024 + 4 + 2304) + 256 + (3 * 768 + 1024) + (3 * 256 + 3 * 768));
        assert_eq!(bytes(knobs(9)) - bytes(knobs(1)), 8 * 256 * row);
    }

    #[test]
    fn segments_take_less_and_adding_up_takes_more() {
        let knobs = Knobs { size: Size::Small, ..Knobs::default() };
        let segments = |n| bytes(Knobs { segments: Some(n), ..knobs.clone() });
        assert!(segments(2) < segments(1) && segments(8) < segments(2));
        assert_eq!(segments(9), segments(8), "no more parts than layers");
        assert!(bytes(Knobs { accumulation: Some(2), ..knobs.clone() }) > bytes(knobs));
    }

    #[test]
    fn no_size_that_passes_the_checks_overflows() {
        let largest = Knobs {
            width: Some(1 << 20),
            heads: Some(1),
            feed_forward: Some(1 << 20),
            layers: Some(1024),
            length: Some(1 << 20),
            batch: Some(1),
            ..Knobs::default()
        };
        assert!(bytes(largest) > 1 << 50);
    }
}
