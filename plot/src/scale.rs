//! From values to places: the steps of an axis, and how numbers are written.

/// Steps of an axis, and its ends.
#[derive(Debug)]
pub(crate) struct Scale {
    pub(crate) ticks: Vec<f64>,
    least: f64,
    most: f64,
    logarithmic: bool,
}

impl Scale {
    /// One that reaches a round number beyond all of `values`; logarithmic: powers of ten around those above zero.
    pub(crate) fn around(values: impl Iterator<Item = f64> + Clone, logarithmic: bool) -> Scale {
        let ticks = if logarithmic { decades(values) } else { ticks(values.fold(0.0, f64::max)) };
        let (least, most) = (ticks[0], ticks[ticks.len() - 1]);
        Scale { ticks, least, most, logarithmic }
    }

    /// One of the same steps that ends with the largest of `values`.
    pub(crate) fn up_to(values: impl Iterator<Item = f64> + Clone, logarithmic: bool) -> Scale {
        let mut scale = Scale::around(values.clone(), logarithmic);
        if !logarithmic {
            scale.most = values.fold(0.0, f64::max).max(1e-9);
            // A step that is hardly beyond the end is shown there.
            scale.ticks.retain(|tick| *tick <= scale.most * 1.01);
        }
        scale
    }

    /// Whether a value has a place: a logarithmic axis has none for zero.
    pub(crate) fn shows(&self, value: f64) -> bool {
        !self.logarithmic || value > 0.0
    }

    /// From 0 at the axis's beginning to 1 at its end.
    pub(crate) fn share(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value / self.least).log10() / (self.most / self.least).log10()
        } else {
            (value - self.least) / (self.most - self.least)
        };
        share.clamp(0.0, 1.0)
    }
}

/// Round numbers from 0 to at least `top`, four to eight steps.
fn ticks(top: f64) -> Vec<f64> {
    let top = if top > 0.0 { top } else { 1.0 };
    let rough = top / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().rev().map(|m| m * power).find(|step| *step <= rough * 1.0001);
    let step = step.unwrap_or(power);
    let count = (top / step - 1e-9).ceil() as usize;
    (0..=count).map(|i| i as f64 * step).collect()
}

/// Powers of ten around these values, two at least.
fn decades(values: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let above_zero = || values.clone().filter(|value| *value > 0.0);
    let least = above_zero().fold(f64::INFINITY, f64::min);
    if least == f64::INFINITY {
        return vec![1.0, 10.0];
    }
    let most = above_zero().fold(least, f64::max);
    let (first, last) = (least.log10().floor() as i32, most.log10().ceil() as i32);
    (first..=last.max(first + 1)).map(|power| 10f64.powi(power)).collect()
}

/// A step of an axis, with as many digits as it needs.
pub(crate) fn label(value: f64) -> String {
    trimmed(value, if value.fract().abs() < 1e-9 { 0 } else { 2 })
}

/// A number with at most so many decimal places, and no zeros at their end.
#[must_use]
pub fn trimmed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_top() {
        assert_eq!(ticks(1.0), [0.0, 0.25, 0.5, 0.75, 1.0]);
        let ticks = ticks(173.0);
        assert!(ticks.last().is_some_and(|last| *last >= 173.0) && ticks.len() <= 10, "{ticks:?}");
        assert_eq!([0.25, 1500.0, 0.1].map(label), ["0.25", "1500", "0.1"]);
    }

    #[test]
    fn a_logarithmic_axis_has_powers_of_ten_around_what_is_above_zero() {
        let scale = Scale::around([0.0, 0.3, 40.0].into_iter(), true);
        assert_eq!(scale.ticks, [0.1, 1.0, 10.0, 100.0]);
        assert!(!scale.shows(0.0) && (scale.share(10.0) - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(Scale::around(std::iter::empty(), true).ticks, [1.0, 10.0]);
    }

    #[test]
    fn an_axis_may_end_with_its_last_value() {
        let scale = Scale::up_to([3.0, 9.0].into_iter(), false);
        assert_eq!((scale.ticks.last(), scale.share(9.0)), (Some(&8.0), 1.0));
    }
}
