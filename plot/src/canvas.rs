//! The elements that pictures are made of.

use std::fmt::{Arguments, Write};

use crate::{BACKGROUND, INK, WIDTH};

/// Height of ordinary text, in pixels.
const TEXT_SIZE: f64 = 12.0;

/// Which part of a text stands at its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    /// Its start.
    #[default]
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub struct TextStyle<'a> {
    /// Height in pixels.
    pub size: f64,
    /// Thick letters.
    pub bold: bool,
    /// What stands at its place.
    pub anchor: Anchor,
    /// Colour of the letters.
    pub colour: &'a str,
    /// Written upwards.
    pub upwards: bool,
}

impl Default for TextStyle<'_> {
    fn default() -> Self {
        TextStyle { size: TEXT_SIZE, bold: false, anchor: Anchor::Start, colour: INK, upwards: false }
    }
}

impl TextStyle<'_> {
    /// Ordinary text with this part of it at its place.
    #[must_use]
    pub fn anchored(anchor: Anchor) -> Self {
        TextStyle { anchor, ..TextStyle::default() }
    }
}

/// How a line looks.
#[derive(Clone, Copy, Debug)]
pub struct Stroke<'a> {
    /// Its colour.
    pub colour: &'a str,
    /// Its width in pixels.
    pub width: f64,
    /// Lengths of dashes and gaps, in pixels; empty: unbroken.
    pub dashes: &'a str,
}

impl<'a> Stroke<'a> {
    /// An unbroken line, one pixel wide.
    #[must_use]
    pub const fn thin(colour: &'a str) -> Self {
        Stroke { colour, width: 1.0, dashes: "" }
    }
}

/// A picture under way. Places are in pixels from the upper left corner.
#[derive(Debug, Default)]
pub struct Canvas {
    body: String,
}

impl Canvas {
    /// A filled rectangle; nothing if it has no area.
    pub fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        self.filled(x, y, width, height, format_args!("fill=\"{colour}\""));
    }

    /// A rectangle through which what is behind it shows.
    pub fn veil(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        self.filled(x, y, width, height, format_args!("fill=\"{colour}\" opacity=\"0.45\""));
    }

    fn filled(&mut self, x: f64, y: f64, width: f64, height: f64, fill: Arguments<'_>) {
        if width > 0.0 && height > 0.0 {
            self.add(format_args!(
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" {fill}/>"
            ));
        }
    }

    /// A straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke<'_>) {
        self.path(&[from, to], stroke);
    }

    /// A line through all points.
    pub fn path(&mut self, points: &[(f64, f64)], stroke: Stroke<'_>) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let Stroke { colour, width, dashes } = stroke;
        let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        self.add(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}/>",
            points.join(" ")
        ));
    }

    /// A small cross, five pixels wide.
    pub fn cross(&mut self, x: f64, y: f64, colour: &str) {
        let (left, right, top, bottom) = (x - 2.5, x + 2.5, y - 2.5, y + 2.5);
        self.add(format_args!(
            "<path d=\"M{left:.1} {top:.1}L{right:.1} {bottom:.1}M{left:.1} {bottom:.1}L{right:.1} {top:.1}\" \
             stroke=\"{colour}\" stroke-width=\"1.5\"/>"
        ));
    }

    /// A line of text; `y` is its base line.
    pub fn text(&mut self, x: f64, y: f64, style: TextStyle<'_>, text: &str) {
        let mut attributes = String::new();
        if style.size != TEXT_SIZE {
            attributes += &format!(" font-size=\"{}\"", style.size);
        }
        if style.bold {
            attributes += " font-weight=\"600\"";
        }
        attributes += match style.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        if style.colour != INK {
            attributes += &format!(" fill=\"{}\"", style.colour);
        }
        if style.upwards {
            attributes += &format!(" transform=\"rotate(-90 {x:.1} {y:.1})\"");
        }
        self.add(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\"{attributes}>{}</text>", escape(text)));
    }

    /// The file of a picture of this height.
    #[must_use]
    pub fn finish(self, height: f64) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
             height=\"{height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"{TEXT_SIZE}\" fill=\"{INK}\">\n\
             <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{BACKGROUND}\"/>\n{}</svg>\n",
            self.body
        )
    }

    fn add(&mut self, element: Arguments<'_>) {
        let _infallible = writeln!(self.body, "{element}");
    }
}

/// Width of a text of this size, more or less; in pixels.
#[must_use]
pub fn text_width(text: &str, size: f64) -> f64 {
    0.56 * size * text.chars().count() as f64
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_escaped_and_what_has_no_area_is_left_out() {
        let mut canvas = Canvas::default();
        canvas.text(1.0, 2.0, TextStyle::anchored(Anchor::End), "a < b & c");
        canvas.rect(0.0, 0.0, 0.0, 9.0, INK);
        let svg = canvas.finish(10.0);
        assert!(svg.contains(">a &lt; b &amp; c</text>"), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 1, "the background alone: {svg}");
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"), "{svg}");
    }
}
