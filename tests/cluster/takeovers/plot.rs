//! The distribution as a picture: which share of takeovers is over after which time, as the library's clients see it.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Fault, Sample, columns};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 45.0;
/// The axis of time is logarithmic, from one millisecond to ten seconds.
const DECADES: u32 = 4;

const COLOURS: [&str; 4] = ["#1b6ca8", "#c8553d", "#e0a030", "#3a7d44"];

pub(super) fn svg(all: &[(Fault, Vec<Sample>)]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    for decade in 0..=DECADES {
        let x = x_of(Duration::from_millis(10u64.pow(decade)));
        let label =
            if decade < 3 { format!("{} ms", 10u64.pow(decade)) } else { format!("{} s", 10u64.pow(decade - 3)) };
        line(&mut svg, (x, y_of(0.0)), (x, y_of(1.0)));
        text(&mut svg, (x, HEIGHT - BOTTOM + 18.0), "middle", "black", &label);
    }
    for quarter in 0..=4 {
        let y = y_of(f64::from(quarter) / 4.0);
        line(&mut svg, (LEFT, y), (WIDTH - RIGHT, y));
        text(&mut svg, (LEFT - 6.0, y + 4.0), "end", "black", &format!("{} %", quarter * 25));
    }
    text(&mut svg, (WIDTH / 2.0, HEIGHT - 8.0), "middle", "black", "longest time without a confirmed write");
    for (number, (fault, samples)) in all.iter().enumerate().filter(|(_, (_, samples))| !samples.is_empty()) {
        let [_, (_, times), _] = columns(samples);
        let points = times.iter().enumerate().flat_map(|(at, time)| {
            // A step at each takeover.
            [at, at + 1].map(|below| format!("{:.1},{:.1}", x_of(*time), y_of(below as f64 / times.len() as f64)))
        });
        let points: Vec<String> = points.collect();
        let colour = COLOURS[number];
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            points.join(" ")
        );
        text(&mut svg, (LEFT + 160.0 * number as f64, TOP - 18.0), "start", colour, fault.name());
    }
    svg + "</svg>\n"
}

fn x_of(time: Duration) -> f64 {
    let decades = (time.as_secs_f64() * 1e3).max(1.0).log10().min(f64::from(DECADES));
    LEFT + decades / f64::from(DECADES) * (WIDTH - LEFT - RIGHT)
}

fn y_of(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(svg, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>");
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, colour: &str, words: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{words}</text>");
}
