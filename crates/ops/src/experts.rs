//! Routed experts: each row is computed by the few experts that its router prefers, and takes their weighted sum.
//!
//! Rows are put together by expert, so that an expert's weights are read once a batch. A row's result has the bits of
//! the row alone: products do not depend on neighbours, and the parts of a row are added in the order of its own
//! preference. Source: N. Shazeer et al., "Outrageously Large Neural Networks" (2017), section 2; A. Q. Jiang et al.,
//! "Mixtral of Experts" (2024), section 2.1.
//!
//! Does not: hold weights (an expert is a function here), or teach a router: the choice is read back from the device,
//! and no gradient flows through it.

use burn::tensor::{Int, Tensor, TensorData};

use crate::cost::Cost;
use crate::rows::Rows;

/// How the weights of the chosen experts follow from the router's logits. The experts with the greatest logits are
/// chosen either way; of equals the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighing {
    /// Softmax over the chosen ones: their weights have the sum 1.
    AmongChosen,
    /// Softmax over all: the weights of the chosen ones are what they have of it.
    AmongAll,
}

/// Which experts each row goes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Routes {
    n_chosen: usize,
    /// The experts of each row, the most preferred first, `[R, n_chosen]`.
    experts: Vec<u32>,
    /// Their weights.
    weights: Vec<f32>,
}

impl Routes {
    /// Chooses `n_chosen` experts for each row.
    ///
    /// # Shapes
    /// `logits` `[R, E]`.
    ///
    /// # Panics
    /// When `n_chosen` is 0 or more than there are.
    pub fn new(logits: Tensor<2>, n_chosen: usize, weighing: Weighing) -> Self {
        let [_, n_experts] = logits.dims();
        assert!((1..=n_experts).contains(&n_chosen), "experts: {n_chosen} of {n_experts}");
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        let mut routes = Self { n_chosen, experts: Vec::new(), weights: Vec::new() };
        for row in logits.chunks_exact(n_experts) {
            let mut order: Vec<u32> = (0..n_experts as u32).collect();
            order.sort_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]));
            let among = match weighing {
                Weighing::AmongChosen => &order[..n_chosen],
                Weighing::AmongAll => &order[..],
            };
            let power = |expert: &u32| (row[*expert as usize] - row[order[0] as usize]).exp();
            let sum: f32 = among.iter().map(power).sum();
            routes.weights.extend(order[..n_chosen].iter().map(|expert| power(expert) / sum));
            routes.experts.extend(&order[..n_chosen]);
        }
        routes
    }

    /// The experts of each row, the most preferred first: `[R, n_chosen]` row after row.
    pub fn chosen(&self) -> &[u32] {
        &self.experts
    }

    /// For each expert that has work its number and the rows that go to it, ascending.
    fn by_expert(&self) -> Vec<(usize, Vec<u32>)> {
        let mut pairs: Vec<(u32, u32)> =
            self.experts.iter().zip(0u32..).map(|(expert, place)| (*expert, place)).collect();
        pairs.sort_unstable();
        let mut groups: Vec<(usize, Vec<u32>)> = Vec::new();
        for (expert, place) in pairs {
            match groups.last_mut() {
                Some((last, places)) if *last == expert as usize => places.push(place),
                _ => groups.push((expert as usize, vec![place])),
            }
        }
        groups
    }
}

/// The weighted sum of what the experts of each row make of it; `compute` is expert number `e` on some rows.
///
/// # Shapes
/// `x` `[R, D]` → `[R, D]`, where `R` is `rows.total()`; `compute` takes and gives `[n, D]`.
pub fn experts(
    x: Tensor<2>,
    routes: &Routes,
    rows: Rows,
    compute: &mut dyn FnMut(usize, Tensor<2>, Rows) -> Tensor<2>,
) -> Tensor<2> {
    let ([n_rows, width], device, n_chosen) = (x.dims(), x.device(), routes.n_chosen);
    if n_rows == 0 {
        return x;
    }
    let ids = |list: Vec<i32>| {
        let n = list.len();
        Tensor::<1, Int>::from_data(TensorData::new(list, [n]), &device)
    };
    let (mut outputs, mut stands_at, mut n_done) = (Vec::new(), vec![0; routes.experts.len()], 0i32);
    for (expert, places) in routes.by_expert() {
        let row_of = |place: &u32| *place as usize / n_chosen;
        let prompt = places.iter().filter(|place| row_of(place) < rows.prompt).count();
        let part = Rows { prompt, generated: places.len() - prompt, training: rows.training };
        let own = ids(places.iter().map(|place| row_of(place) as i32).collect());
        outputs.push(compute(expert, x.clone().select(0, own), part)); // [n, D]
        for (place, at) in places.iter().zip(n_done..) {
            stands_at[*place as usize] = at;
        }
        n_done += places.len() as i32;
    }
    let outputs = Tensor::cat(outputs, 0); // [R · n_chosen, D]
    let ranked = |rank: usize| {
        let places = (rank..stands_at.len()).step_by(n_chosen);
        let from = ids(places.clone().map(|place| stands_at[place]).collect());
        let weights: Vec<f32> = places.map(|place| routes.weights[place]).collect();
        let weights = Tensor::<2>::from_data(TensorData::new(weights, [n_rows, 1]), &device);
        outputs.clone().select(0, from) * weights.expand([n_rows, width]) // [R, D]
    };
    (1..n_chosen).fold(ranked(0), |sum, rank| sum + ranked(rank)) // [R, D]
}

/// Work of choosing and adding for `rows` rows of width `width`; that of the experts is their own.
pub fn cost(rows: usize, width: usize, n_chosen: usize) -> Cost {
    Cost { flops: 2 * rows * width * n_chosen, bytes: 12 * rows * width * n_chosen }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cpu;

    fn matrix(numbers: &[f32], columns: usize) -> Tensor<2> {
        let shape = [numbers.len() / columns, columns];
        Tensor::from_data(TensorData::new(numbers.to_vec(), shape), &cpu())
    }

    #[test]
    fn the_greatest_logits_choose_and_weigh() {
        let logits = [0.0, 2.0, 1.0, 2.0, -1.0, -2.0, -3.0, -9.0];
        let routes = |weighing| Routes::new(matrix(&logits, 4), 2, weighing);
        let chosen = routes(Weighing::AmongChosen);
        // Of equals the first.
        assert_eq!(chosen.experts, [1, 3, 0, 1]);
        assert_eq!(&chosen.weights[..2], [0.5, 0.5]);
        let e = 1f32.exp();
        assert!((chosen.weights[2] - e / (1.0 + e)).abs() < 1e-6);
        let all = routes(Weighing::AmongAll);
        assert_eq!(all.experts, chosen.experts);
        let sum = 2.0 + (-1f32).exp() + (-2f32).exp();
        assert!((all.weights[0] - 1.0 / sum).abs() < 1e-6);
        assert!(all.weights[2] + all.weights[3] < 1.0);
    }

    #[test]
    fn numbers_that_are_none_choose_something() {
        let routes =
            Routes::new(matrix(&[f32::NAN, 1.0, f32::NAN, f32::INFINITY], 2), 1, Weighing::AmongChosen);
        assert!(routes.chosen().iter().all(|expert| *expert < 2));
    }

    /// Expert `e` multiplies by `e + 1`, and generated rows by -1 besides.
    #[test]
    fn a_row_gets_the_sum_of_its_experts_in_its_role() {
        let x = matrix(&[1.0, 10.0, 2.0, 20.0, 3.0, 30.0], 2);
        let logits = matrix(&[0.0, 0.0, -9e9, -9e9, 0.0, 0.0, 0.0, -9e9, 0.0], 3);
        let routes = Routes::new(logits, 2, Weighing::AmongChosen);
        let rows = Rows { prompt: 1, generated: 2, training: None };
        let y = experts(x, &routes, rows, &mut |expert, x, rows| {
            let signs: Vec<f32> =
                (0..rows.total()).map(|row| if row < rows.prompt { 1.0 } else { -1.0 }).collect();
            x.clone() * (expert as f32 + 1.0) * matrix(&signs, 1).expand(x.dims())
        });
        let y: Vec<f32> = y.into_data().iter::<f32>().collect();
        // (1 + 2) / 2, (2 + 3) / 2 and (1 + 3) / 2 times the row.
        assert_eq!(y, [1.5, 15.0, -5.0, -50.0, -6.0, -60.0]);
    }
}
