//! Pictures as SVG: bars in groups, lines, and a canvas for everything else.
//!
//! A picture has its own background, so that it reads the same on light and dark pages. The same data give the same bytes.

mod bars;
mod canvas;
mod chart;
mod lines;
mod scale;

pub use bars::Bars;
pub use canvas::{Anchor, Canvas, Stroke, TextStyle, text_width};
pub use lines::{Axis, Lines, Panel};
pub use scale::trimmed;

/// Width of every picture, in pixels.
pub const WIDTH: f64 = 860.0;

/// Behind everything.
pub const BACKGROUND: &str = "#ffffff";
/// Text, unless it says otherwise.
pub const INK: &str = "#1f2328";
/// Text that explains, beside text that tells.
pub const QUIET: &str = "#59636e";
/// Lines of a grid.
pub const FAINT: &str = "#d8dee4";
/// Series, in this order.
pub const COLOURS: [&str; 8] = ["#0969da", "#d1642a", "#1a7f37", "#8250df", "#bf3989", "#7d6608", "#57606a", "#0b7d8a"];
