//! Bars in groups.

use crate::canvas::{Anchor, TextStyle};
use crate::chart::{Chart, END, LEFT, LEVEL};
use crate::scale::Scale;
use crate::{COLOURS, INK};

/// Bars in groups, a colour for each series.
#[derive(Clone, Debug)]
pub struct Bars {
    /// Above everything.
    pub title: String,
    /// What the bars' height means, with its unit.
    pub y: String,
    /// A label for each group; `\n` begins a second line.
    pub groups: Vec<String>,
    /// A name, and a value for each group; what is not finite has no bar.
    pub series: Vec<(String, Vec<f64>)>,
    /// A level to compare with, and its name.
    pub line: Option<(f64, String)>,
}

impl Bars {
    /// The picture's file.
    #[must_use]
    pub fn svg(&self) -> String {
        let values = self.series.iter().flat_map(|(_, values)| values).copied().filter(|value| value.is_finite());
        let values = values.chain(self.line.as_ref().map(|line| line.0));
        let mut chart = Chart::new(&self.title, &self.legend());
        let frame = chart.frame(230.0, &self.y, Scale::around(values, false));
        let canvas = &mut chart.canvas;
        let slot = (END - LEFT) / self.groups.len().max(1) as f64;
        let bar = (slot * 0.8 / self.series.len().max(1) as f64).min(46.0);
        for (group, label) in self.groups.iter().enumerate() {
            let middle = LEFT + slot * (group as f64 + 0.5);
            let start = middle - bar * self.series.len() as f64 / 2.0;
            for (number, (_, values)) in self.series.iter().enumerate() {
                let Some(value) = values.get(group).filter(|value| value.is_finite()) else { continue };
                let (x, y) = (start + bar * number as f64, frame.y(*value));
                canvas.rect(x, y, bar - 1.5, frame.bottom - y, COLOURS[number % COLOURS.len()]);
            }
            for (line, text) in label.lines().enumerate() {
                let y = frame.bottom + 16.0 + 14.0 * line as f64;
                canvas.text(middle, y, TextStyle::anchored(Anchor::Middle), text);
            }
        }
        if let Some((level, _)) = &self.line {
            canvas.line((LEFT, frame.y(*level)), (END, frame.y(*level)), LEVEL);
        }
        chart.canvas.finish(frame.bottom + 40.0)
    }

    fn legend(&self) -> Vec<(&str, &str)> {
        let series = self.series.iter().zip(COLOURS).map(|((name, _), colour)| (name.as_str(), colour));
        series.chain(self.line.as_ref().map(|(_, name)| (name.as_str(), INK))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_has_a_bar_in_each_group_and_a_name() {
        let bars = Bars {
            title: "Throughput".into(),
            y: "ratio".into(),
            groups: vec!["GET\nx 1".into(), "SET\nx 1".into()],
            series: vec![("one".into(), vec![0.5, f64::NAN]), ("other".into(), vec![2.0, 1.0])],
            line: Some((1.0, "level".into())),
        };
        let svg = bars.svg();
        assert_eq!(svg.matches("<rect").count(), 1 + 2 + 3, "background, legend, bars: {svg}");
        for text in [">Throughput<", ">one<", ">level<", ">GET<", ">x 1<", ">2<"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
    }
}
