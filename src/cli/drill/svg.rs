//! The picture of a round as an SVG file: confirmed writes of each kind of client over time, errors, the moments of the course,
//! and below them which node did what. It brings its own background, so that it reads the same on light and dark pages.

use std::fmt::Write;
use std::time::Duration;

use super::timeline::{Course, Window};
use super::witness::Witness;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 112.0;
const RIGHT: f64 = 24.0;
const PANEL_TOP: f64 = 126.0;
const PANEL_HEIGHT: f64 = 104.0;
const PANEL_GAP: f64 = 36.0;
const STRIP_HEIGHT: f64 = 18.0;
const STRIP_GAP: f64 = 6.0;
const COLUMNS: usize = 128;
/// Width of a letter of the small text, more or less.
const LETTER: f64 = 6.2;

const BACKGROUND: &str = "#ffffff";
const INK: &str = "#1f2328";
const QUIET: &str = "#59636e";
const FAINT: &str = "#e4e8ec";
const ALARM: &str = "#cf222e";
const VEIL: &str = "#fff1f0";
const WRITES: [&str; 2] = ["#0969da", "#0b7d8a"];
const PRIMARY: &str = "#1a7f37";
const STANDBY: &str = "#b7dfc2";
const AWAY: &str = "#f6d5d7";

/// What a node does during a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Primary,
    Standby,
    Away,
}

/// A node and what it does from when on, in order.
#[derive(Clone, Debug)]
pub(super) struct Strip {
    pub(super) name: String,
    pub(super) parts: Vec<(Duration, Part, String)>,
}

/// Everything that is drawn.
#[derive(Debug)]
pub(super) struct Picture<'a> {
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) fault: String,
    pub(super) course: Course,
    pub(super) panels: Vec<(&'static str, &'a Witness)>,
    pub(super) strips: Vec<Strip>,
}

impl Picture<'_> {
    pub(super) fn svg(&self) -> String {
        let witnesses: Vec<&Witness> = self.panels.iter().map(|(_, witness)| *witness).collect();
        let window = Window::new(&self.course, &witnesses, COLUMNS);
        let mut canvas = Canvas { body: String::new(), window };
        canvas.text((24.0, 34.0), "font-size=\"17\" font-weight=\"600\"", &self.title);
        canvas.text((24.0, 56.0), &format!("font-size=\"12.5\" fill=\"{QUIET}\""), &self.subtitle);
        let mut top = PANEL_TOP;
        for (number, (name, witness)) in self.panels.iter().enumerate() {
            canvas.panel(top, name, witness, WRITES[number % WRITES.len()]);
            top += PANEL_HEIGHT + PANEL_GAP;
        }
        let strips = top - PANEL_GAP + 16.0;
        canvas.moments(PANEL_TOP, strips, &self.course, &self.fault);
        let mut at = strips;
        for strip in &self.strips {
            canvas.strip(at, strip, self.course.end);
            at += STRIP_HEIGHT + STRIP_GAP;
        }
        canvas.scale(at + 4.0);
        canvas.finish(at + 36.0)
    }
}

struct Canvas {
    body: String,
    window: Window,
}

impl Canvas {
    /// Where a place in columns stands, within the drawing's borders.
    fn x(&self, column: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (column / self.window.columns as f64).clamp(0.0, 1.0)
    }

    fn at(&self, time: Duration) -> f64 {
        self.x(self.window.place(time))
    }

    fn panel(&mut self, top: f64, name: &str, witness: &Witness, colour: &str) {
        let bottom = top + PANEL_HEIGHT;
        let columns = self.window.cut(witness);
        let most = columns.iter().flatten().map(|tick| tick.confirmed).max().unwrap_or(0).max(1);
        let gap = witness.longest_gap();
        let (from, to) = (self.at(gap.from), self.at(gap.to));
        self.rect(from, top, (to - from).max(1.0), PANEL_HEIGHT, VEIL);
        let words = format!("longest gap {}", milliseconds(gap.length()));
        let alarm = format!("font-size=\"12.5\" text-anchor=\"end\" fill=\"{ALARM}\"");
        self.text((WIDTH - RIGHT, top - 10.0), &alarm, &words);
        for share in [0.0, 0.5, 1.0] {
            self.line((LEFT, bottom - PANEL_HEIGHT * share), (WIDTH - RIGHT, bottom - PANEL_HEIGHT * share), FAINT, "");
        }
        let per_second = |count: f64| short(count / self.window.column.as_secs_f64());
        let quiet = format!("font-size=\"11\" text-anchor=\"end\" fill=\"{QUIET}\"");
        let (full, half) = (per_second(f64::from(most)), per_second(f64::from(most) / 2.0));
        self.text((LEFT - 8.0, top + 4.0), &quiet, &full);
        self.text((LEFT - 8.0, top + PANEL_HEIGHT / 2.0 + 4.0), &quiet, &half);
        self.text((LEFT - 8.0, bottom + 4.0), &quiet, "0");
        let named = format!("font-size=\"12.5\" font-weight=\"600\" fill=\"{colour}\"");
        self.text((24.0, top - 10.0), &named, name);
        for (number, tick) in columns.iter().enumerate() {
            let Some(tick) = tick else { continue };
            let (from, to) = (self.x(number as f64), self.x(number as f64 + 1.0));
            let height = PANEL_HEIGHT * f64::from(tick.confirmed) / f64::from(most);
            self.rect(from + 0.4, bottom - height, to - from - 0.8, height, colour);
            if tick.errors > 0 {
                self.cross((from + to) / 2.0, bottom + 7.0);
            }
        }
    }

    /// The fault, the takeover and the whole pair, as lines through all panels.
    fn moments(&mut self, top: f64, bottom: f64, course: &Course, fault: &str) {
        let (at, takeover, whole) = (self.at(course.fault), self.at(course.takeover), self.at(course.whole));
        self.line((at, top - 38.0), (at, bottom), ALARM, "stroke-width=\"1.6\"");
        let alarm = format!("font-size=\"12\" font-weight=\"600\" text-anchor=\"end\" fill=\"{ALARM}\"");
        self.text((at - 6.0, top - 30.0), &alarm, fault);
        self.line((takeover, top - 38.0), (takeover, bottom), PRIMARY, "stroke-width=\"1.2\" stroke-dasharray=\"4 3\"");
        let words = format!("new primary after {}", milliseconds(course.takeover.saturating_sub(course.fault)));
        self.text((takeover + 6.0, top - 30.0), &format!("font-size=\"12\" fill=\"{PRIMARY}\""), &words);
        self.line((whole, bottom), (whole, bottom - 8.0), QUIET, "");
    }

    fn strip(&mut self, top: f64, strip: &Strip, end: Duration) {
        self.text((24.0, top + 13.0), "font-size=\"12.5\"", &format!("node {}", strip.name));
        for (number, (from, part, words)) in strip.parts.iter().enumerate() {
            let end = self.at(strip.parts.get(number + 1).map_or(end, |next| next.0));
            let from = self.at(*from);
            let (colour, ink) = match part {
                Part::Primary => (PRIMARY, BACKGROUND),
                Part::Standby => (STANDBY, INK),
                Part::Away => (AWAY, INK),
            };
            self.rect(from, top, (end - from).max(0.0), STRIP_HEIGHT, colour);
            if LETTER * words.chars().count() as f64 + 8.0 < end - from {
                self.text((from + 5.0, top + 13.0), &format!("font-size=\"11\" fill=\"{ink}\""), words);
            }
        }
    }

    fn scale(&mut self, top: f64) {
        let step = self.window.columns / 8;
        for column in (0..=self.window.columns).step_by(step) {
            let ms = (column as i64 - self.window.before as i64) * self.window.column.as_millis() as i64;
            let x = self.x(column as f64);
            let anchor = if column == self.window.columns { "end" } else { "middle" };
            let attributes = format!("font-size=\"11\" text-anchor=\"{anchor}\" fill=\"{QUIET}\"");
            let words = if ms == 0 { "0".into() } else { milliseconds(Duration::from_millis(ms.unsigned_abs())) };
            let sign = if ms < 0 { "−" } else { "" };
            self.text((x, top + 10.0), &attributes, &format!("{sign}{words}"));
        }
        let column = milliseconds(self.window.column);
        let words = format!(
            "confirmed writes per second in columns of {column}; pale red: the longest gap; ✕ errors; time since the fault"
        );
        self.text((24.0, top + 28.0), &format!("font-size=\"11\" fill=\"{QUIET}\""), &words);
    }

    fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        if width > 0.0 && height > 0.0 {
            self.add(format_args!(
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
            ));
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, more: &str) {
        self.add(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" {more}/>",
            from.0, from.1, to.0, to.1
        ));
    }

    fn cross(&mut self, x: f64, y: f64) {
        let (left, right, top, bottom) = (x - 2.5, x + 2.5, y - 2.5, y + 2.5);
        self.add(format_args!(
            "<path d=\"M{left:.1} {top:.1}L{right:.1} {bottom:.1}M{left:.1} {bottom:.1}L{right:.1} {top:.1}\" \
             stroke=\"{ALARM}\" stroke-width=\"1.5\"/>"
        ));
    }

    fn text(&mut self, at: (f64, f64), attributes: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        self.add(format_args!("<text x=\"{:.1}\" y=\"{:.1}\" {attributes}>{text}</text>", at.0, at.1));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        let _infallible = writeln!(self.body, "{element}");
    }

    fn finish(self, height: f64) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
             height=\"{height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" fill=\"{INK}\">\n\
             <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{BACKGROUND}\"/>\n{}</svg>\n",
            self.body
        )
    }
}

/// A time for a person: `3.6 ms`, `240 ms`, `2.04 s`.
pub(super) fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        ms if ms >= 1000.0 => format!("{} s", trimmed(ms / 1e3, 2)),
        ms if ms >= 100.0 => format!("{ms:.0} ms"),
        ms => format!("{} ms", trimmed(ms, 1)),
    }
}

fn trimmed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A count for an axis: `820`, `12.4 k`.
fn short(count: f64) -> String {
    if count >= 1000.0 { format!("{} k/s", trimmed(count / 1e3, 1)) } else { format!("{count:.0}/s") }
}

#[cfg(test)]
mod tests {
    use super::super::timeline::tests::{COURSE, ms, witness};
    use super::*;

    #[test]
    fn the_drawing_says_what_happened() {
        let witness = witness();
        let strip = |name: &str, part| Strip { name: name.into(), parts: vec![(ms(0), part, "standby <2>".into())] };
        let picture = Picture {
            title: "Drill & more".into(),
            subtitle: "nothing lost".into(),
            fault: "kill -9 of node a".into(),
            course: COURSE,
            panels: vec![("client library", &witness), ("plain RESP", &witness)],
            strips: vec![strip("a", Part::Away), strip("b", Part::Standby)],
        };
        let svg = picture.svg();
        for part in ["Drill &amp; more", "kill -9 of node a", "new primary after 20 ms", "standby &lt;2&gt;", ALARM] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
        assert_eq!(svg.matches("longest gap 41 ms").count(), 2, "{svg}");
        assert_eq!(svg.matches("<path").count(), 2, "an error in each panel");
        assert_eq!(svg, picture.svg(), "the same round gives the same file");
    }

    #[test]
    fn times_are_written_for_people() {
        let written = [3_600, 240_400, 2_040_000, 5_000].map(|us| milliseconds(Duration::from_micros(us)));
        assert_eq!(written, ["3.6 ms", "240 ms", "2.04 s", "5 ms"]);
    }
}
