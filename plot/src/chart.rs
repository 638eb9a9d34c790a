//! What bars and lines share: title, legend, and a frame with a grid.

use crate::canvas::{Anchor, Canvas, Stroke, TextStyle, text_width};
use crate::scale::{Scale, label};
use crate::{FAINT, INK, WIDTH};

pub(crate) const LEFT: f64 = 72.0;
/// Right border of the grid.
pub(crate) const END: f64 = WIDTH - 16.0;

/// A level to compare with.
pub(crate) const LEVEL: Stroke<'_> = Stroke { colour: INK, width: 1.4, dashes: "5 4" };

/// A picture with a title; `at` is the height at which the next diagram begins.
pub(crate) struct Chart {
    pub(crate) canvas: Canvas,
    pub(crate) at: f64,
}

/// Where values stand on the drawing.
pub(crate) struct Frame {
    pub(crate) bottom: f64,
    height: f64,
    pub(crate) scale: Scale,
}

impl Frame {
    pub(crate) fn top(&self) -> f64 {
        self.bottom - self.height
    }

    pub(crate) fn y(&self, value: f64) -> f64 {
        self.bottom - self.height * self.scale.share(value)
    }
}

impl Chart {
    /// Title and legend, the legend in as many lines as it needs; in ink: the level to compare with.
    pub(crate) fn new(title: &str, legend: &[(&str, &str)]) -> Self {
        let mut canvas = Canvas::default();
        canvas.text(LEFT, 24.0, TextStyle { size: 15.0, bold: true, ..TextStyle::default() }, title);
        let style = TextStyle::default();
        let (mut x, mut y) = (LEFT, 46.0);
        for (name, colour) in legend {
            let width = 38.0 + text_width(name, style.size);
            if x + width > END && x > LEFT {
                (x, y) = (LEFT, y + 18.0);
            }
            if *colour == INK {
                canvas.line((x - 1.0, y - 4.0), (x + 13.0, y - 4.0), LEVEL);
            } else {
                canvas.rect(x, y - 10.0, 12.0, 12.0, colour);
            }
            canvas.text(x + 18.0, y, style, name);
            x += width;
        }
        Self { canvas, at: y + 16.0 }
    }

    /// Grid and axis of a diagram of this height.
    pub(crate) fn frame(&mut self, height: f64, name: &str, scale: Scale) -> Frame {
        let frame = Frame { bottom: self.at + height, height, scale };
        for tick in &frame.scale.ticks {
            let at = frame.y(*tick);
            self.canvas.line((LEFT, at), (END, at), Stroke::thin(FAINT));
            self.canvas.text(LEFT - 8.0, at + 4.0, TextStyle::anchored(Anchor::End), &label(*tick));
        }
        let style = TextStyle { upwards: true, ..TextStyle::anchored(Anchor::Middle) };
        self.canvas.text(18.0, self.at + height / 2.0, style, name);
        self.at = frame.bottom + 18.0;
        frame
    }
}
