//! Lines over a common axis.

use crate::canvas::{Anchor, Stroke, TextStyle, text_width};
use crate::chart::{Chart, END, Frame, LEFT};
use crate::scale::{Scale, label};
use crate::{COLOURS, FAINT, WIDTH};

/// An axis.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// What it shows, with its unit.
    pub name: String,
    /// Its steps are factors of ten; what is not above zero is left out.
    pub logarithmic: bool,
}

/// One diagram of lines; several stand below each other with one axis across.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The axis upwards.
    pub y: Axis,
    /// A name, and points.
    pub series: Vec<(String, Vec<(f64, f64)>)>,
}

/// Lines over a common axis, for instance of time.
#[derive(Clone, Debug)]
pub struct Lines {
    /// Above everything.
    pub title: String,
    /// The axis across.
    pub x: Axis,
    /// From the uppermost on; all have the series of the first.
    pub panels: Vec<Panel>,
    /// Stretches of the axis across to mark, and the number of the series that each belongs to.
    pub marked: Vec<(f64, f64, usize)>,
    /// What a mark means.
    pub mark: String,
}

impl Lines {
    /// The picture's file.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut chart = Chart::new(&self.title, &self.legend());
        let points = self.panels.iter().flat_map(|panel| &panel.series).flat_map(|(_, points)| points);
        let across = Scale::up_to(points.map(|point| point.0), self.x.logarithmic);
        let height = if self.panels.len() > 1 { 170.0 } else { 250.0 };
        let mut bottom = chart.at;
        for panel in &self.panels {
            let values = panel.series.iter().flat_map(|(_, points)| points).map(|point| point.1);
            let frame = chart.frame(height, &panel.y.name, Scale::around(values, panel.y.logarithmic));
            self.draw(panel, &across, &frame, &mut chart);
            bottom = frame.bottom;
        }
        let middle = TextStyle::anchored(Anchor::Middle);
        for tick in &across.ticks {
            let words = label(*tick);
            let within = WIDTH - 4.0 - text_width(&words, middle.size) / 2.0;
            chart.canvas.text(place(&across, *tick).min(within), bottom + 16.0, middle, &words);
        }
        chart.canvas.text(f64::midpoint(LEFT, END), bottom + 34.0, middle, &self.x.name);
        chart.canvas.finish(bottom + 46.0)
    }

    fn draw(&self, panel: &Panel, across: &Scale, frame: &Frame, chart: &mut Chart) {
        if self.x.logarithmic {
            for x in across.ticks.iter().map(|tick| place(across, *tick)) {
                chart.canvas.line((x, frame.top()), (x, frame.bottom), Stroke::thin(FAINT));
            }
        }
        for (from, to, series) in &self.marked {
            // A strip at the foot for each series, so that stretches of two do not cover each other.
            let y = frame.bottom - 7.0 * (*series as f64 + 1.0);
            let (from, to) = (place(across, *from), place(across, *to));
            chart.canvas.veil(from, y, to - from, 6.0, COLOURS[series % COLOURS.len()]);
        }
        for (number, (_, points)) in panel.series.iter().enumerate() {
            let points = points.iter().filter(|(x, y)| across.shows(*x) && frame.scale.shows(*y));
            let points: Vec<(f64, f64)> = points.map(|(x, y)| (place(across, *x), frame.y(*y))).collect();
            let colour = COLOURS[number % COLOURS.len()];
            chart.canvas.path(&points, Stroke { width: 1.4, ..Stroke::thin(colour) });
        }
    }

    fn legend(&self) -> Vec<(&str, &str)> {
        let names = self.panels.first().into_iter().flat_map(|panel| &panel.series);
        let series = names.zip(COLOURS).map(|((name, _), colour)| (name.as_str(), colour));
        let mark = (!self.mark.is_empty()).then_some((self.mark.as_str(), FAINT));
        series.chain(mark).collect()
    }
}

fn place(across: &Scale, value: f64) -> f64 {
    LEFT + (END - LEFT) * across.share(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_place_on_a_logarithmic_axis_is_left_out() {
        let axis = |name: &str, logarithmic| Axis { name: name.into(), logarithmic };
        let points = vec![(0.0, 10.0), (1.0, 20.0), (10.0, 30.0), (100.0, 0.0)];
        let panel = |logarithmic| Panel { y: axis("share", logarithmic), series: vec![("a".into(), points.clone())] };
        let lines = Lines {
            title: "Takeovers".into(),
            x: axis("ms", true),
            panels: vec![panel(false), panel(true)],
            marked: vec![(1.0, 10.0, 0)],
            mark: "a mark".into(),
        };
        let svg = lines.svg();
        let drawn: Vec<usize> = svg
            .lines()
            .filter(|line| line.contains("stroke-width=\"1.4\""))
            .map(|line| line.matches(',').count())
            .collect();
        assert_eq!(drawn, [3, 2], "{svg}");
        for text in [">Takeovers<", ">a mark<", ">100<", ">ms<", ">share<"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert_eq!(svg.matches("opacity").count(), 2, "a mark in each panel");
    }
}
