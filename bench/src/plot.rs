//! Plots as SVG, written by hand: bars in groups, and lines over time.
//!
//! A drawing brings its own background, so that it reads the same on light and dark pages.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 16.0;
const LETTER: f64 = 6.6;

/// A level to compare with is drawn this way, in ink.
const DASHES: &str = "stroke-dasharray=\"5 4\"";

const BACKGROUND: &str = "#ffffff";
const INK: &str = "#1f2328";
const FAINT: &str = "#d8dee4";
const COLOURS: [&str; 8] = ["#0969da", "#d1642a", "#1a7f37", "#8250df", "#bf3989", "#7d6608", "#57606a", "#0b7d8a"];

/// Bars in groups, a colour for each series.
pub(crate) struct Bars {
    pub(crate) title: String,
    /// What the bars' height means, with its unit.
    pub(crate) y: String,
    /// A label for each group; `\n` begins a second line.
    pub(crate) groups: Vec<String>,
    /// A name, and a value for each group.
    pub(crate) series: Vec<(String, Vec<f64>)>,
    /// A level to compare with, and its name.
    pub(crate) line: Option<(f64, String)>,
}

impl Bars {
    pub(crate) fn svg(&self) -> String {
        let values = self.series.iter().flat_map(|(_, values)| values).copied().filter(|value| value.is_finite());
        let top = values.chain(self.line.as_ref().map(|line| line.0)).fold(0.0, f64::max);
        let mut legend: Vec<(&str, &str)> =
            self.series.iter().zip(COLOURS).map(|((name, _), colour)| (name.as_str(), colour)).collect();
        if let Some((_, name)) = &self.line {
            legend.push((name, INK));
        }
        let mut canvas = Canvas::new(&self.title, &legend);
        let frame = canvas.frame(230.0, &self.y, ticks(top), false);
        let slot = (WIDTH - LEFT - RIGHT) / self.groups.len().max(1) as f64;
        let bar = (slot * 0.8 / self.series.len().max(1) as f64).min(46.0);
        for (g, label) in self.groups.iter().enumerate() {
            let middle = LEFT + slot * (g as f64 + 0.5);
            let start = middle - bar * self.series.len() as f64 / 2.0;
            for (s, (_, values)) in self.series.iter().enumerate() {
                let Some(value) = values.get(g).filter(|value| value.is_finite()) else { continue };
                let (x, y) = (start + bar * s as f64, frame.y(*value));
                canvas.rect(x, y, bar - 1.5, frame.bottom - y, COLOURS[s % COLOURS.len()]);
            }
            for (line, text) in label.lines().enumerate() {
                canvas.text(middle, frame.bottom + 16.0 + 14.0 * line as f64, "middle", text);
            }
        }
        if let Some((level, _)) = &self.line {
            canvas.path(&[(LEFT, frame.y(*level)), (WIDTH - RIGHT, frame.y(*level))], INK, DASHES);
        }
        canvas.finish(frame.bottom + 40.0)
    }
}

/// One diagram of lines; several stand below each other with one axis of time.
pub(crate) struct Panel {
    /// What the height means, with its unit.
    pub(crate) y: String,
    /// Steps of the height are factors of ten; what is not above zero is left out.
    pub(crate) logarithmic: bool,
    /// A name, and points of time and value.
    pub(crate) series: Vec<(String, Vec<(f64, f64)>)>,
}

/// Lines over time.
pub(crate) struct Lines {
    pub(crate) title: String,
    pub(crate) x: String,
    pub(crate) panels: Vec<Panel>,
    /// Stretches of time to mark, and the number of the series that each belongs to.
    pub(crate) marked: Vec<(f64, f64, usize)>,
    /// What a mark means.
    pub(crate) mark: String,
}

impl Lines {
    pub(crate) fn svg(&self) -> String {
        let names = self.panels.first().into_iter().flat_map(|panel| &panel.series);
        let mut legend: Vec<(&str, &str)> =
            names.zip(COLOURS).map(|((name, _), colour)| (name.as_str(), colour)).collect();
        if !self.mark.is_empty() {
            legend.push((&self.mark, FAINT));
        }
        let mut canvas = Canvas::new(&self.title, &legend);
        let points = || self.panels.iter().flat_map(|panel| &panel.series).flat_map(|(_, points)| points);
        let end = points().map(|point| point.0).fold(0.0, f64::max).max(1e-9);
        let x = |time: f64| LEFT + (WIDTH - LEFT - RIGHT) * (time / end).clamp(0.0, 1.0);
        let mut bottom = 0.0;
        for panel in &self.panels {
            let values = || panel.series.iter().flat_map(|(_, points)| points).map(|point| point.1);
            let top = values().fold(0.0, f64::max);
            let scale = if panel.logarithmic { decades(values(), top) } else { ticks(top) };
            let frame = canvas.frame(170.0, &panel.y, scale, panel.logarithmic);
            for (from, to, series) in &self.marked {
                // A strip at the foot for each series, so that stretches of two servers do not cover each other.
                let y = frame.bottom - 7.0 * (*series as f64 + 1.0);
                canvas.veil(x(*from), y, x(*to) - x(*from), 6.0, COLOURS[series % COLOURS.len()]);
            }
            for (number, (_, points)) in panel.series.iter().enumerate() {
                let points = points.iter().filter(|point| !panel.logarithmic || point.1 > 0.0);
                let points: Vec<(f64, f64)> = points.map(|(time, value)| (x(*time), frame.y(*value))).collect();
                canvas.path(&points, COLOURS[number % COLOURS.len()], "");
            }
            bottom = frame.bottom;
            canvas.at = bottom + 18.0;
        }
        for time in ticks(end) {
            canvas.text(x(time), bottom + 16.0, "middle", &label(time));
        }
        canvas.text(LEFT + (WIDTH - LEFT - RIGHT) / 2.0, bottom + 34.0, "middle", &self.x);
        canvas.finish(bottom + 46.0)
    }
}

/// Where values stand on the drawing.
struct Frame {
    top: f64,
    bottom: f64,
    least: f64,
    most: f64,
    logarithmic: bool,
}

impl Frame {
    fn y(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value / self.least).log10() / (self.most / self.least).log10()
        } else {
            (value - self.least) / (self.most - self.least)
        };
        self.bottom - (self.bottom - self.top) * share.clamp(0.0, 1.0)
    }
}

/// A drawing under way; `at` is the height at which the next diagram begins.
struct Canvas {
    body: String,
    at: f64,
}

impl Canvas {
    /// Title and legend, the legend in as many lines as it needs.
    fn new(title: &str, legend: &[(&str, &str)]) -> Self {
        let mut canvas = Self { body: String::new(), at: 0.0 };
        let _infallible = write!(
            canvas.body,
            "<text x=\"{LEFT}\" y=\"24\" font-size=\"15\" font-weight=\"600\">{}</text>",
            escape(title)
        );
        let (mut x, mut y) = (LEFT, 46.0);
        for (name, colour) in legend {
            let width = 20.0 + LETTER * name.chars().count() as f64 + 18.0;
            if x + width > WIDTH - RIGHT && x > LEFT {
                (x, y) = (LEFT, y + 18.0);
            }
            if *colour == INK {
                canvas.path(&[(x - 1.0, y - 4.0), (x + 13.0, y - 4.0)], INK, DASHES);
            } else {
                canvas.rect(x, y - 10.0, 12.0, 12.0, colour);
            }
            canvas.text(x + 18.0, y, "start", name);
            x += width;
        }
        canvas.at = y + 16.0;
        canvas
    }

    /// Grid and axis of a diagram of this height.
    fn frame(&mut self, height: f64, y: &str, scale: Vec<f64>, logarithmic: bool) -> Frame {
        let least = scale.first().copied().unwrap_or(0.0);
        let most = scale.last().copied().unwrap_or(1.0);
        let frame = Frame { top: self.at, bottom: self.at + height, least, most, logarithmic };
        for tick in scale {
            let at = frame.y(tick);
            self.path(&[(LEFT, at), (WIDTH - RIGHT, at)], FAINT, "");
            self.text(LEFT - 8.0, at + 4.0, "end", &label(tick));
        }
        let middle = self.at + height / 2.0;
        let _infallible = write!(
            self.body,
            "<text x=\"18\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {middle:.1})\">{}</text>",
            escape(y)
        );
        frame
    }

    fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        let _infallible = write!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
        );
    }

    fn veil(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        let _infallible = write!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\" opacity=\"0.45\"/>"
        );
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = escape(text);
        let _infallible = write!(self.body, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
    }

    fn path(&mut self, points: &[(f64, f64)], colour: &str, more: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _infallible = write!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.4\" {more}/>",
            points.join(" ")
        );
    }

    fn finish(self, height: f64) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
             height=\"{height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"{INK}\">\
             <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{BACKGROUND}\"/>{}</svg>\n",
            self.body
        )
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

/// Powers of ten around these values.
fn decades(values: impl Iterator<Item = f64>, top: f64) -> Vec<f64> {
    let least = values.filter(|value| *value > 0.0).fold(top, f64::min);
    if least <= 0.0 {
        return vec![1.0, 10.0];
    }
    let (first, last) = (least.log10().floor() as i32, top.log10().ceil() as i32);
    (first..=last.max(first + 1)).map(|power| 10f64.powi(power)).collect()
}

fn label(value: f64) -> String {
    let text = if value.fract().abs() < 1e-9 { format!("{value:.0}") } else { format!("{value:.2}") };
    match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').to_owned(),
        None => text,
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_top() {
        assert_eq!(ticks(1.0), [0.0, 0.25, 0.5, 0.75, 1.0]);
        let ticks = ticks(173.0);
        assert!(*ticks.last().unwrap() >= 173.0 && ticks.len() <= 10, "{ticks:?}");
        assert_eq!(label(0.25), "0.25");
        assert_eq!(label(1500.0), "1500");
    }
}
