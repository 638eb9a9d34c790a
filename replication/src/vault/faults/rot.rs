//! Bit rot: bits flip, files are truncated, files disappear.

use std::collections::BTreeMap;

use super::run::{Told, acts, finished, frames, start};
use super::{rounds, sentence};
use crate::vault::disk::Disk;
use crate::vault::disk::sim::DiskSim;
use crate::vault::log::segment::LogFrame;

/// What came of the samples, by the folder of the file.
#[derive(Debug, Default)]
struct Tally {
    harmless: BTreeMap<String, u32>,
    refused: BTreeMap<String, u32>,
}

impl Tally {
    /// A start on a disk whose file `path` was tampered with finds exactly what was told, or refuses and names a file.
    fn check(&mut self, disk: &DiskSim, frames: &[LogFrame], told: Told, path: &str, what: &str) {
        let kind = path.split('/').next().unwrap_or_default().to_owned();
        match start(disk, frames, what) {
            Ok(found) => {
                assert_eq!(found.told, told, "{what}");
                *self.harmless.entry(kind).or_default() += 1;
            }
            Err(error) => {
                let sentence = sentence(&error);
                assert!(sentence.contains(&format!("sim:{kind}")), "{what}: {sentence}");
                *self.refused.entry(kind).or_default() += 1;
            }
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// A file that is not empty, each as likely as any other, and its bytes.
fn choose(disk: &DiskSim, paths: &[String], random: &mut Random) -> (String, Vec<u8>) {
    loop {
        let path = &paths[random.below(paths.len())];
        let content = disk.content(path);
        if !content.is_empty() {
            return (path.clone(), content);
        }
    }
}

#[test]
fn ten_thousand_flipped_bits_and_a_thousand_cut_files() {
    let acts = acts();
    let frames = frames(&acts);
    let (disk, told) = finished(&acts);
    let paths = disk.paths();
    let mut random = Random(7);
    let mut tally = Tally::default();
    for i in 0..10_000 * rounds() {
        let (path, mut content) = choose(&disk, &paths, &mut random);
        let bit = random.below(content.len() * 8);
        content[bit / 8] ^= 1 << (bit % 8);
        let fork = disk.fork();
        fork.tamper(&path, &content);
        tally.check(&fork, &frames, told, &path, &format!("flip {i}: bit {bit} of {path}"));
    }
    println!("flipped bits: {tally:?}");
    assert!(tally.refused["log"] > 1_000 && tally.refused["images"] > 1_000 && tally.refused["catalog"] > 1_000);
    let mut tally = Tally::default();
    for i in 0..1_000 * rounds() {
        let (path, content) = choose(&disk, &paths, &mut random);
        let len = random.below(content.len());
        let fork = disk.fork();
        fork.tamper(&path, &content[..len]);
        tally.check(&fork, &frames, told, &path, &format!("cut {i}: {path} to {len} of {} bytes", content.len()));
    }
    println!("cut files: {tally:?}");
}

#[test]
fn every_missing_file_is_refused_or_harmless() {
    let acts = acts();
    let frames = frames(&acts);
    let (disk, told) = finished(&acts);
    let mut tally = Tally::default();
    for path in disk.paths() {
        let fork = disk.fork();
        fork.remove_file(&path).unwrap();
        tally.check(&fork, &frames, told, &path, &format!("{path} is gone"));
    }
    println!("missing files: {tally:?}");
}
