// SPDX-License-Identifier: MIT OR Apache-2.0

//! Median and spread of values.

/// The quartiles of the values of several rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quartiles {
    pub lower: f64,
    pub median: f64,
    pub upper: f64,
}

impl Quartiles {
    /// The quartiles of at least one value. Between two values it interpolates linearly (type 7 in
    /// R).
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (values.len() - 1) as f64;
            let (below, above) = (
                values[place.floor() as usize],
                values[place.ceil() as usize],
            );
            below + (above - below) * place.fract()
        };
        Self {
            lower: at(0.25),
            median: at(0.5),
            upper: at(0.75),
        }
    }

    /// Half of the distance between the outer quartiles.
    pub fn spread(&self) -> f64 {
        (self.upper - self.lower) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_and_even() {
        let odd = Quartiles::of([5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!((odd.lower, odd.median, odd.upper), (2.0, 3.0, 4.0));
        assert_eq!(odd.spread(), 1.0);
        let even = Quartiles::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!((even.lower, even.median, even.upper), (1.75, 2.5, 3.25));
        let one = Quartiles::of([7.0]);
        assert_eq!((one.median, one.spread()), (7.0, 0.0));
    }

    #[test]
    fn an_outlier_moves_neither_much() {
        let quiet = Quartiles::of([10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0]);
        let noisy = Quartiles::of([10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 1000.0]);
        assert_eq!(quiet.median, noisy.median);
        assert_eq!(quiet.spread(), noisy.spread());
    }
}
