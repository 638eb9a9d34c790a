//! The picture of a round as an SVG file: confirmed writes of each kind of client over time, errors, the events of the round, and
//! below them which node did what.

use std::time::Duration;

use tanist_plot::{
    Anchor, BACKGROUND, COLOURS, Canvas, FAINT, INK, QUIET, Stroke, TextStyle, WIDTH, text_width, trimmed,
};

use super::timeline::{Course, Window};
use super::witness::Witness;

const MARGIN: f64 = 24.0;
const LEFT: f64 = 112.0;
const END: f64 = WIDTH - MARGIN;
const PANEL_TOP: f64 = 126.0;
/// Height of a panel, and where there are more than [`PANELS_HIGH`].
const PANEL_HEIGHT: f64 = 104.0;
const PANEL_HEIGHT_LOW: f64 = 48.0;
const PANELS_HIGH: usize = 3;
const PANEL_GAP: f64 = 36.0;
const STRIP_HEIGHT: f64 = 18.0;
const STRIP_GAP: f64 = 6.0;
const COLUMNS: usize = 128;

const ALARM: &str = "#cf222e";
const VEIL: &str = "#fff1f0";
const PRIMARY: &str = COLOURS[2];
const STANDBY: &str = "#b7dfc2";
const AWAY: &str = "#f6d5d7";
/// Of the kinds of clients.
const WRITES: [&str; 2] = [COLOURS[0], COLOURS[7]];

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
    /// Of each kind of clients: its name, how it finds the primary, and what it saw.
    pub(super) panels: Vec<(&'a str, &'a str, &'a Witness)>,
    pub(super) strips: Vec<Strip>,
}

impl Picture<'_> {
    pub(super) fn svg(&self) -> String {
        let witnesses: Vec<&Witness> = self.panels.iter().map(|(_, _, witness)| *witness).collect();
        let window = Window::new(&self.course, &witnesses, COLUMNS);
        let height = if self.panels.len() > PANELS_HIGH { PANEL_HEIGHT_LOW } else { PANEL_HEIGHT };
        let mut drawing = Drawing { canvas: Canvas::default(), window, height };
        drawing.canvas.text(MARGIN, 34.0, TextStyle { bold: true, ..sized(17.0, INK) }, &self.title);
        drawing.canvas.text(MARGIN, 56.0, sized(12.5, QUIET), &self.subtitle);
        let mut top = PANEL_TOP;
        let (fault, takeover) = (drawing.at(self.course.fault), drawing.at(self.course.takeover));
        let beside = if takeover < f64::midpoint(LEFT, END) { takeover } else { fault } + 6.0;
        for (number, (name, manner, witness)) in self.panels.iter().enumerate() {
            drawing.panel(top, name, witness, WRITES[number % WRITES.len()]);
            drawing.canvas.text(beside, top - 10.0, sized(12.0, QUIET), manner);
            top += height + PANEL_GAP;
        }
        let strips = top - PANEL_GAP + 16.0;
        drawing.moments(PANEL_TOP, strips, &self.course, &self.fault);
        let mut at = strips;
        for strip in &self.strips {
            drawing.strip(at, strip, self.course.end);
            at += STRIP_HEIGHT + STRIP_GAP;
        }
        drawing.scale(at + 4.0);
        drawing.canvas.finish(at + 36.0)
    }
}

fn sized(size: f64, colour: &str) -> TextStyle<'_> {
    TextStyle { size, colour, ..TextStyle::default() }
}

struct Drawing {
    canvas: Canvas,
    window: Window,
    /// Of each panel.
    height: f64,
}

impl Drawing {
    /// Where a place in columns stands, within the drawing's borders.
    fn x(&self, column: f64) -> f64 {
        LEFT + (END - LEFT) * (column / self.window.columns as f64).clamp(0.0, 1.0)
    }

    fn at(&self, time: Duration) -> f64 {
        self.x(self.window.place(time))
    }

    fn panel(&mut self, top: f64, name: &str, witness: &Witness, colour: &str) {
        let bottom = top + self.height;
        let columns = self.window.cut(witness);
        let most = columns.iter().flatten().map(|tick| tick.confirmed).max().unwrap_or(0).max(1);
        self.gap(top, witness);
        self.grid(top, f64::from(most));
        self.canvas.text(MARGIN, top - 10.0, TextStyle { bold: true, ..sized(12.5, colour) }, name);
        for (number, tick) in columns.iter().enumerate() {
            let Some(tick) = tick else { continue };
            let (from, to) = (self.x(number as f64), self.x(number as f64 + 1.0));
            let height = self.height * f64::from(tick.confirmed) / f64::from(most);
            self.canvas.rect(from + 0.4, bottom - height, to - from - 0.8, height, colour);
            if tick.errors > 0 {
                self.canvas.cross(f64::midpoint(from, to), bottom + 7.0, ALARM);
            }
        }
    }

    /// The longest gap, behind everything of its panel.
    fn gap(&mut self, top: f64, witness: &Witness) {
        let gap = witness.longest_gap();
        let (from, to) = (self.at(gap.from), self.at(gap.to));
        self.canvas.rect(from, top, (to - from).max(1.0), self.height, VEIL);
        let words = format!("longest gap {}", milliseconds(gap.length()));
        self.canvas.text(END, top - 10.0, TextStyle { anchor: Anchor::End, ..sized(12.5, ALARM) }, &words);
    }

    fn grid(&mut self, top: f64, most: f64) {
        let style = TextStyle { anchor: Anchor::End, ..sized(11.0, QUIET) };
        for share in [0.0, 0.5, 1.0] {
            let y = top + self.height * (1.0 - share);
            self.canvas.line((LEFT, y), (END, y), Stroke::thin(FAINT));
            let words = match share {
                0.0 => "0".to_owned(),
                share => short(most * share / self.window.column.as_secs_f64()),
            };
            self.canvas.text(LEFT - 8.0, y + 4.0, style, &words);
        }
    }

    /// The fault, the takeover and the whole pair, as lines through all panels.
    fn moments(&mut self, top: f64, bottom: f64, course: &Course, fault: &str) {
        let (at, takeover, whole) = (self.at(course.fault), self.at(course.takeover), self.at(course.whole));
        let canvas = &mut self.canvas;
        canvas.line((at, top - 38.0), (at, bottom), Stroke { width: 1.6, ..Stroke::thin(ALARM) });
        let style = TextStyle { bold: true, anchor: Anchor::End, ..sized(12.0, ALARM) };
        canvas.text(at - 6.0, top - 30.0, style, fault);
        let stroke = Stroke { colour: PRIMARY, width: 1.2, dashes: "4 3" };
        canvas.line((takeover, top - 38.0), (takeover, bottom), stroke);
        let words = format!("new primary after {}", milliseconds(course.takeover.saturating_sub(course.fault)));
        canvas.text(takeover + 6.0, top - 30.0, sized(12.0, PRIMARY), &words);
        canvas.line((whole, bottom), (whole, bottom - 8.0), Stroke::thin(QUIET));
    }

    fn strip(&mut self, top: f64, strip: &Strip, end: Duration) {
        self.canvas.text(MARGIN, top + 13.0, sized(12.5, INK), &format!("node {}", strip.name));
        for (number, (from, part, words)) in strip.parts.iter().enumerate() {
            let end = self.at(strip.parts.get(number + 1).map_or(end, |next| next.0));
            let from = self.at(*from);
            let (colour, ink) = match part {
                Part::Primary => (PRIMARY, BACKGROUND),
                Part::Standby => (STANDBY, INK),
                Part::Away => (AWAY, INK),
            };
            self.canvas.rect(from, top, end - from, STRIP_HEIGHT, colour);
            let style = sized(11.0, ink);
            if text_width(words, style.size) + 8.0 < end - from {
                self.canvas.text(from + 5.0, top + 13.0, style, words);
            }
        }
    }

    fn scale(&mut self, top: f64) {
        let step = self.window.columns / 8;
        for column in (0..=self.window.columns).step_by(step) {
            let ms = (column as i64 - self.window.before as i64) * self.window.column.as_millis() as i64;
            let anchor = if column == self.window.columns { Anchor::End } else { Anchor::Middle };
            let words = if ms == 0 { "0".into() } else { milliseconds(Duration::from_millis(ms.unsigned_abs())) };
            let sign = if ms < 0 { "−" } else { "" };
            let (x, style) = (self.x(column as f64), TextStyle { anchor, ..sized(11.0, QUIET) });
            self.canvas.text(x, top + 10.0, style, &format!("{sign}{words}"));
        }
        let column = milliseconds(self.window.column);
        let words = format!(
            "confirmed writes per second in columns of {column}; pale red: the longest gap; ✕ errors; time since the fault"
        );
        self.canvas.text(MARGIN, top + 28.0, sized(11.0, QUIET), &words);
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
            panels: vec![("library", "both addresses", &witness), ("plain", "one address", &witness)],
            strips: vec![strip("a", Part::Away), strip("b", Part::Standby)],
        };
        let svg = picture.svg();
        for part in [
            "Drill &amp; more",
            "kill -9 of node a",
            "new primary after 20 ms",
            "one address",
            "standby &lt;2&gt;",
            ALARM,
        ] {
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
