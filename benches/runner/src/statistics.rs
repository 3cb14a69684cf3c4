//! The median of figures, and their spread.

/// One quantity over all rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    /// Half the range, relative to the median.
    pub(crate) spread: f64,
}

impl Figure {
    /// The figure of some samples; NaN if there are none.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(least), Some(greatest)) = (sorted.first(), sorted.last()) else {
            return Self { median: f64::NAN, spread: f64::NAN };
        };
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
        Self { median, spread: (greatest - least) / 2.0 / median }
    }
}

#[cfg(test)]
mod tests {
    use super::Figure;

    #[test]
    fn a_figure_is_the_median_and_half_the_range() {
        assert_eq!(Figure::of([9.0, 10.0, 13.0]), Figure { median: 10.0, spread: 0.2 });
        assert_eq!(Figure::of([8.0, 12.0]), Figure { median: 10.0, spread: 0.2 });
        assert!(Figure::of([]).median.is_nan());
    }
}
