//! The distribution as a picture: which share of takeovers is over after which time, as the library's clients see it.

use tanist_plot::{Axis, Lines, Panel};

use super::{Fault, Sample, columns};

pub(super) fn svg(all: &[(Fault, Vec<Sample>)]) -> String {
    let measured = all.iter().filter(|(_, samples)| !samples.is_empty());
    let series = measured.map(|(fault, samples)| (fault.name().to_owned(), shares(samples))).collect();
    Lines {
        title: "Takeovers that are over after a time".to_owned(),
        x: Axis { name: "longest time without a confirmed write, ms".to_owned(), logarithmic: true },
        panels: vec![Panel { y: Axis { name: "share, %".to_owned(), logarithmic: false }, series }],
        marked: Vec::new(),
        mark: String::new(),
    }
    .svg()
}

/// Milliseconds and percents; a step at each takeover.
fn shares(samples: &[Sample]) -> Vec<(f64, f64)> {
    let [_, (_, times), _] = columns(samples);
    let percent = |below: usize| below as f64 / times.len() as f64 * 100.0;
    let step = |(at, time): (usize, &std::time::Duration)| {
        let ms = time.as_secs_f64() * 1e3;
        [(ms, percent(at)), (ms, percent(at + 1))]
    };
    times.iter().enumerate().flat_map(step).collect()
}
