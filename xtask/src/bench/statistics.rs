//! The numbers of a few repeated measurements.

/// The middle one; of an even number, the mean of the two in the middle. `None` when there is none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => Some((sorted.get(middle.checked_sub(1)?)? + sorted[middle]) / 2.0),
        _ => sorted.get(middle).copied(),
    }
}

/// Their mean; `None` when there is none.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The smallest and the largest; `None` when there is none.
pub fn spread(values: &[f64]) -> Option<[f64; 2]> {
    let smallest = values.iter().copied().min_by(f64::total_cmp)?;
    let largest = values.iter().copied().max_by(f64::total_cmp)?;
    Some([smallest, largest])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn middle_mean_and_ends() {
        for (values, expected) in [
            (&[][..], None),
            (&[3.0], Some(3.0)),
            (&[9.0, 1.0, 2.0], Some(2.0)),
            (&[4.0, 1.0, 2.0, 100.0], Some(3.0)),
        ] {
            assert_eq!(median(values), expected, "{values:?}");
        }
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!(mean(&[]), None);
        assert_eq!(spread(&[2.0, -1.0, 5.0]), Some([-1.0, 5.0]));
        assert_eq!(spread(&[]), None);
    }
}
