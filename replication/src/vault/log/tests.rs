use std::sync::Arc;

use super::*;
use crate::vault::disk::sim::DiskSim;
use crate::vault::log::reader::LogReader;
use crate::vault::log::segment::{open_header, seal_header, segment_first};
use crate::vault::testing::frame;

const CLUSTER: u128 = 0xabc;

fn open(disk: &DiskSim, segment_bytes: u64) -> Result<Log, StorageError> {
    Log::open(Arc::new(disk.clone()), CLUSTER, segment_bytes)
}

fn read_all(disk: &DiskSim, log: &Log) -> Vec<LogFrame> {
    let mut reader = LogReader::new(Arc::new(disk.clone()), CLUSTER, Lsn::ZERO);
    let mut frames = Vec::new();
    loop {
        let more = reader.read(&log.extent(), 1).unwrap();
        if more.is_empty() {
            return frames;
        }
        frames.extend(more);
    }
}

/// Frames of 1, 2, 3, 1, 2, 3, ... records, in groups of 1 or 2.
fn groups(count: u64) -> Vec<Vec<LogFrame>> {
    let mut groups = Vec::new();
    let mut next = 1;
    for i in 0..count {
        let mut group = Vec::new();
        for _ in 0..=i % 2 {
            let records = i % 3 + 1;
            group.push(frame(i / 4 + 1, next, records));
            next += records;
        }
        groups.push(group);
    }
    groups
}

fn filled(groups: &[Vec<LogFrame>], segment_bytes: u64) -> DiskSim {
    let disk = DiskSim::new(1);
    let mut log = open(&disk, segment_bytes).unwrap();
    for group in groups {
        log.commit(group).unwrap();
    }
    log.settle().unwrap();
    disk.restart_process();
    disk
}

#[test]
fn golden_segment_header() {
    let header = seal_header(0x0102, Lsn(77));
    let mut wanted = [0u8; 40];
    wanted[..5].copy_from_slice(b"TNSG\x01");
    (wanted[8], wanted[9], wanted[24]) = (2, 1, 77);
    wanted[36..].copy_from_slice(&GOLDEN_CRC);
    assert_eq!(header, wanted);
    assert_eq!(open_header(&header), Ok((0x0102, Lsn(77))));
}

const GOLDEN_CRC: [u8; 4] = [152, 206, 198, 142];

#[test]
fn what_was_committed_is_read_back_over_segments_and_restarts() {
    let groups = groups(20);
    let disk = filled(&groups, 300);
    let log = open(&disk, 300).unwrap();
    assert_eq!(read_all(&disk, &log), groups.concat());
    let extent = log.extent();
    assert_eq!((extent.durable, extent.oldest), (groups.concat().last().unwrap().last, Lsn(1)));
    assert!(disk.list(LOG_FOLDER).unwrap().len() > 5, "it has several segments");
    assert_eq!(log.epoch(), Epoch(5));
}

#[test]
fn a_reader_begins_anywhere_and_goes_on() {
    let groups = groups(12);
    let frames = groups.concat();
    let disk = filled(&groups, 300);
    let mut log = open(&disk, 300).unwrap();
    for after in 0..log.extent().durable.0 {
        let mut reader = LogReader::new(Arc::new(disk.clone()), CLUSTER, Lsn(after));
        let read = reader.read(&log.extent(), usize::MAX).unwrap();
        let wanted: Vec<_> = frames.iter().filter(|frame| frame.last.0 > after).cloned().collect();
        assert_eq!(read, wanted, "after {after}");
        assert!(reader.read(&log.extent(), 1).unwrap().is_empty());
    }
    let mut reader = LogReader::new(Arc::new(disk.clone()), CLUSTER, log.extent().durable);
    for _ in 0..5 {
        let next = frame(9, log.extent().durable.0 + 1, 2);
        log.commit(std::slice::from_ref(&next)).unwrap();
        assert_eq!(reader.read(&log.extent(), 1).unwrap(), [next]);
    }
}

#[test]
fn a_frame_longer_than_a_write_and_a_segment() {
    let disk = DiskSim::new(1);
    let mut log = open(&disk, 1000).unwrap();
    let group = [frame(1, 1, 3), frame(1, 4, 20_000), frame(1, 20_004, 2)];
    assert!(group[1].bytes().len() > limits::WRITE_BYTES);
    log.commit(&group).unwrap();
    log.commit(&[frame(1, 20_006, 1)]).unwrap();
    disk.restart_process();
    let log = open(&disk, 1000).unwrap();
    assert_eq!(read_all(&disk, &log)[..3], group);
    assert_eq!(disk.list(LOG_FOLDER).unwrap().len(), 3);
}

/// All that a start may make of a tampered log: exactly what was acknowledged, or an error that names a file.
fn check_tampered(disk: &DiskSim, frames: &[LogFrame], what: &str) {
    match open(disk, 300) {
        Ok(log) => assert_eq!(read_all(disk, &log), frames, "{what}"),
        Err(error) => assert!(error.to_string().contains("sim:log/"), "{what}: {error}"),
    }
}

#[test]
fn every_flipped_bit_is_refused_or_harmless() {
    let groups = groups(6);
    let frames = groups.concat();
    let disk = filled(&groups, 300);
    let mut refused = 0;
    for name in disk.list(LOG_FOLDER).unwrap() {
        let path = format!("{LOG_FOLDER}/{name}");
        let content = disk.content(&path);
        for bit in 0..content.len() * 8 {
            let fork = disk.fork();
            let mut flipped = content.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fork.tamper(&path, &flipped);
            if name != "durable" {
                let error = open(&fork, 300).err().unwrap_or_else(|| panic!("bit {bit} of {name} was not noticed"));
                assert!(error.to_string().contains(&name), "{error}");
                assert_eq!(fork.content(&path), flipped, "a refused start changes nothing");
                refused += 1;
            } else {
                check_tampered(&fork, &frames, &format!("bit {bit} of {name}"));
            }
        }
    }
    assert!(refused > 1000);
}

#[test]
fn every_truncation_and_every_missing_file_is_refused_or_harmless() {
    let groups = groups(6);
    let frames = groups.concat();
    let disk = filled(&groups, 300);
    for name in disk.list(LOG_FOLDER).unwrap() {
        let path = format!("{LOG_FOLDER}/{name}");
        let content = disk.content(&path);
        for len in 0..content.len() {
            let fork = disk.fork();
            fork.tamper(&path, &content[..len]);
            check_tampered(&fork, &frames, &format!("{name} cut to {len}"));
        }
        let fork = disk.fork();
        fork.remove_file(&path).unwrap();
        let first = name.starts_with("00000000000000000001.");
        assert!(first || open(&fork, 300).is_err(), "{name} removed");
    }
}

#[test]
fn swapped_and_foreign_files_are_refused() {
    let disk = filled(&groups(6), 300);
    let names = disk.list(LOG_FOLDER).unwrap();
    let (one, two) = (format!("{LOG_FOLDER}/{}", names[0]), format!("{LOG_FOLDER}/{}", names[1]));
    let fork = disk.fork();
    let content = fork.content(&two);
    fork.tamper(&one, &content);
    assert!(matches!(open(&fork, 300), Err(StorageError::Damaged { .. })));
    let foreign = Log::open(Arc::new(disk.clone()), CLUSTER + 1, 300).unwrap_err();
    assert!(matches!(foreign, StorageError::OtherCluster { .. }), "{foreign}");
}

/// Without a mark nobody knows what was acknowledged, and without segments it is not there.
#[test]
fn a_log_without_a_sound_mark_or_without_its_segments_is_refused() {
    let disk = filled(&groups(6), 300);
    let unmarked = disk.fork();
    let mark = unmarked.content(&DurableMark::path());
    unmarked.tamper(&DurableMark::path(), &vec![0; mark.len()]);
    assert!(matches!(open(&unmarked, 300), Err(StorageError::Damaged { .. })));

    let empty = disk.fork();
    for name in empty.list(LOG_FOLDER).unwrap().iter().filter(|name| segment_first(name).is_some()) {
        empty.remove_file(&format!("{LOG_FOLDER}/{name}")).unwrap();
    }
    let refused = open(&empty, 300).unwrap_err();
    assert!(matches!(&refused, StorageError::Damaged { .. }) && refused.to_string().contains("there is no segment"));
}

/// Each frame is sound for itself.
#[test]
fn a_sound_frame_that_does_not_follow_is_cut_off_behind_the_mark_and_refused_before_it() {
    let disk = DiskSim::new(1);
    let mut log = open(&disk, 1 << 20).unwrap();
    log.commit(&[frame(2, 1, 3), frame(2, 4, 3)]).unwrap();
    log.close().unwrap();
    disk.restart_process();
    let path = segment_path(Lsn(1));
    let content = disk.content(&path);
    for foreign in [frame(2, 8, 1), frame(2, 6, 1), frame(1, 7, 1)] {
        let fork = disk.fork();
        fork.tamper(&path, &[&content, &foreign.bytes()[..]].concat());
        let mut log = open(&fork, 1 << 20).unwrap();
        assert_eq!(log.extent().durable, Lsn(6), "{foreign:?}");
        log.commit(&[frame(3, 7, 1)]).unwrap();
        fork.restart();
        assert_eq!(open(&fork, 1 << 20).unwrap().extent().durable, Lsn(7), "it goes on where it was cut off");
        let fork = disk.fork();
        let (header, frames) = content.split_at(SEGMENT_HEADER_BYTES as usize);
        fork.tamper(&path, &[header, foreign.bytes(), frames].concat());
        assert!(matches!(open(&fork, 1 << 20), Err(StorageError::Damaged { .. })), "{foreign:?}");
    }
}

/// A crash leaves no such thing: to cut it off, or to begin the segment anew, would lose what another release has written.
#[test]
fn another_version_at_the_logs_end_is_refused_and_left_alone() {
    let disk = filled(&groups(5), 10_000);
    let mut log = open(&disk.fork(), 10_000).unwrap();
    let extent = log.extent();
    log.close().unwrap();
    let next = Lsn(extent.durable.0 + 1);
    let of_version_2 = |mut bytes: Vec<u8>, crc_at: usize, end: usize| {
        bytes[4] = 2;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..crc_at]), &bytes[crc_at + 4..end]);
        bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
        bytes
    };
    let segment = of_version_2(seal_header(CLUSTER, next).to_vec(), 36, 40);
    let newest = segment_path(extent.segment);
    let behind = of_version_2(frame(9, next.0, 1).bytes().to_vec(), 12, 24);
    let sound = disk.content(&newest)[..extent.segment_bytes as usize].to_vec();
    let behind = [&sound[..], &behind].concat();
    for (path, content) in [(segment_path(next), segment), (newest.clone(), behind)] {
        let fork = disk.fork();
        fork.tamper(&newest, &sound);
        if path != newest {
            drop(fork.create(&path).unwrap());
        }
        fork.tamper(&path, &content);
        let why = open(&fork, 10_000).unwrap_err().to_string();
        assert!(why.contains(&format!("{path} has format version 2, and this program knows version 1")), "{why}");
        assert_eq!(fork.content(&path), content);
    }
}

#[test]
fn a_torn_tail_is_cut_off_and_written_over() {
    let groups = groups(5);
    let disk = filled(&groups, 10_000);
    let path = segment_path(Lsn(1));
    let end = open(&disk.fork(), 10_000).unwrap().extent().segment_bytes as usize;
    let whole = disk.content(&path);
    let (sound, reserved) = whole.split_at(end);
    assert!(!reserved.is_empty() && reserved.iter().all(|byte| *byte == 0));
    let next = frame(9, groups.concat().last().unwrap().last.0 + 1, 3);
    // Zeros that are missing at its end are there all the same.
    let told = next.bytes().iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let cuts = (0..next.bytes().len()).map(|len| (len, &[][..])).chain((0..told).map(|len| (len, reserved)));
    for (len, behind) in cuts {
        let fork = disk.fork();
        fork.tamper(&path, &[sound, &next.bytes()[..len], behind].concat());
        let mut log = open(&fork, 10_000).unwrap();
        assert_eq!(fork.content(&path), sound, "cut at {len}");
        log.commit(&[frame(9, next.first.0, 1)]).unwrap();
    }
    for behind in [&[][..], reserved] {
        let fork = disk.fork();
        fork.tamper(&path, &[sound, next.bytes(), behind].concat());
        assert_eq!(open(&fork, 10_000).unwrap().extent().durable, next.last, "a whole frame was decided and is kept");
    }
}

/// Zeros ahead of every group would double what is written; without them each sync of a short one takes half as long again.
#[test]
fn zeros_are_written_ahead_of_short_groups_once_for_many() {
    let disk = DiskSim::new(1);
    let mut log = open(&disk, 1 << 30).unwrap();
    let mut operations = |frame: LogFrame| {
        let before = disk.operations();
        log.commit(&[frame]).unwrap();
        disk.operations() - before
    };
    let first = operations(frame(1, 1, 1));
    let second = operations(frame(1, 2, 1));
    assert_eq!(first - second, 2, "room and zeros");
    let long = operations(frame(1, 3, 20_000));
    assert_eq!(long, second, "the room suffices, and zeros would be written twice");
    assert_eq!(operations(frame(1, 20_003, 1)), second + 1, "behind it there are none");
}

#[test]
fn each_segment_gets_room_and_zeros_once_and_keeps_none_when_it_is_closed() {
    let disk = DiskSim::new(1);
    let mut log = open(&disk, 300).unwrap();
    let mut operations = Vec::new();
    while log.older.len() < 2 {
        let (before, segments) = (disk.operations(), log.older.len());
        log.commit(&[frame(1, log.durable.0 + 1, 1)]).unwrap();
        operations.push((log.older.len() > segments, disk.operations() - before));
    }
    let rolled: Vec<u64> = operations.iter().filter(|(rolled, _)| *rolled).map(|(_, count)| *count).collect();
    let usual = operations[1].1;
    assert_eq!(rolled[0], rolled[1]);
    // The old one is cut to its end, the mark synced; the new one is made, written, synced, and so is its name; then room and zeros.
    assert!(rolled[0] >= usual + 6, "{operations:?}");
    let held: u64 = log.older.iter().map(|older| older.bytes).sum();
    assert_eq!(log.extent().bytes, held + log.bytes);
    for older in &log.older {
        assert_eq!(disk.content(&segment_path(older.first)).len() as u64, older.bytes);
    }
    let path = segment_path(log.first);
    assert!(disk.content(&path).len() as u64 > log.bytes, "room for more");
    log.close().unwrap();
    assert_eq!(disk.content(&path).len() as u64, log.bytes);
}

#[test]
#[should_panic(expected = "only frames that follow reach the log")]
fn frames_that_do_not_follow_are_a_mistake_of_the_caller() {
    let mut log = open(&DiskSim::new(1), 300).unwrap();
    let _ = log.commit(&[frame(1, 1, 1), frame(1, 3, 1)]);
}

#[test]
fn a_group_of_short_frames_is_written_at_once_and_of_long_ones_one_by_one() {
    let operations = |frames: Vec<LogFrame>| {
        let disk = DiskSim::new(1);
        let mut log = open(&disk, 1 << 30).unwrap();
        let before = disk.operations();
        log.commit(&frames).unwrap();
        disk.operations() - before
    };
    let one = operations(vec![frame(1, 1, 1)]);
    assert_eq!(operations((1..=500).map(|lsn| frame(1, lsn, 1)).collect()), one);
    let long: Vec<_> = (0..3).map(|i| frame(1, 1 + i * 60_000, 60_000)).collect();
    assert!(long[0].bytes().len() > limits::WRITE_BYTES / 2);
    let apart = operations(long.clone());
    assert_eq!(apart, operations(long[..1].to_vec()) + 2);
}

#[test]
fn trimming_keeps_what_is_needed_and_the_newest_segment() {
    let groups = groups(20);
    let disk = filled(&groups, 300);
    let mut log = open(&disk, 300).unwrap();
    let second = log.older[1].first;
    let before = disk.operations();
    assert_eq!(log.trim(Lsn(second.0 - 2)).unwrap(), 0);
    assert_eq!(disk.operations(), before);
    assert_eq!(log.trim(Lsn(second.0 - 1)).unwrap(), 1);
    assert_eq!(disk.operations(), before + 2, "the file, and the sync of its name");
    assert_eq!(log.extent().oldest, second);
    let mut late = LogReader::new(Arc::new(disk.clone()), CLUSTER, Lsn(0));
    assert!(matches!(late.read(&log.extent(), 1), Err(StorageError::Trimmed { oldest }) if oldest == second.0));
    log.trim(log.extent().durable).unwrap();
    assert_eq!((log.older.len(), log.extent().oldest), (0, log.first));
    disk.restart_process();
    assert_eq!(open(&disk, 300).unwrap().extent(), log.extent());
}

#[test]
fn a_full_disk_refuses_and_resumes() {
    for room in (0..400).step_by(7) {
        let disk = filled(&groups(3), 200);
        let mut log = open(&disk, 200).unwrap();
        let before = log.extent();
        let group = [frame(5, before.durable.0 + 1, 4), frame(5, before.durable.0 + 5, 4)];
        disk.set_room(room);
        match log.commit(&group) {
            Err(StorageError::Full { .. }) => assert_eq!(log.extent().durable, before.durable),
            other => assert!(other.is_ok() && room > 200, "room for {room}: {other:?}"),
        }
        disk.set_room(u64::MAX);
        if log.extent().durable == before.durable {
            log.commit(&group).unwrap();
        }
        disk.restart_process();
        let log = open(&disk, 200).unwrap();
        assert_eq!(read_all(&disk, &log)[4..], group, "room for {room}");
    }
}

/// Where there is room for the records and not for the mark, the vault took the disk for broken and ended.
#[test]
fn a_disk_without_room_for_the_mark_refuses_and_resumes() {
    let mut refused_late = 0;
    for room in 0..600 {
        let disk = filled(&groups(3), 10_000);
        disk.copy_on_write();
        let mut log = open(&disk, 10_000).unwrap();
        // Written ahead of, so that the next commit writes its records and the mark, and no zeros.
        log.commit(&[frame(5, log.durable.0 + 1, 1)]).unwrap();
        let before = log.extent();
        let group = [frame(5, before.durable.0 + 1, 4)];
        disk.set_room(room);
        let outcome = log.commit(&group);
        disk.set_room(u64::MAX);
        if let Err(error) = outcome {
            assert!(matches!(error, StorageError::Full { .. }), "room for {room}: {error}");
            assert_eq!(log.extent(), before);
            refused_late += u64::from(error.to_string().contains(&DurableMark::path()));
            log.commit(&[frame(6, before.durable.0 + 1, 2)]).unwrap();
            log.stamp(Epoch(7)).unwrap();
        }
        let told = log.extent().durable;
        disk.restart_process();
        let log = open(&disk, 10_000).unwrap();
        assert_eq!(log.extent().durable, told, "room for {room}");
    }
    assert!(refused_late > 10, "only {refused_late} refusals were the mark's");
}

/// The same of the mark of a new epoch: it is not written, and nothing else is wrong.
#[test]
fn an_epoch_that_there_is_no_room_for_is_refused() {
    let disk = filled(&groups(3), 10_000);
    disk.copy_on_write();
    let mut log = open(&disk, 10_000).unwrap();
    let (before, next) = (log.epoch(), log.epoch().next());
    disk.set_room(10);
    assert!(matches!(log.stamp(next), Err(StorageError::Full { .. })));
    assert_eq!(log.epoch(), before);
    disk.set_room(u64::MAX);
    log.stamp(next).unwrap();
    disk.restart_process();
    assert_eq!(open(&disk, 10_000).unwrap().mark.record().epoch, next);
}

#[test]
fn a_disk_without_room_for_the_next_segment_refuses_and_resumes() {
    for room in 0..=SEGMENT_HEADER_BYTES {
        let disk = DiskSim::new(1);
        let mut log = open(&disk, 200).unwrap();
        while log.bytes < 200 {
            log.commit(&[frame(1, log.durable.0 + 1, 1)]).unwrap();
        }
        let next = [frame(1, log.durable.0 + 1, 1)];
        disk.set_room(room);
        assert!(matches!(log.commit(&next), Err(StorageError::Full { .. })), "room for {room}");
        disk.set_room(u64::MAX);
        log.commit(&next).unwrap();
        assert_eq!(log.older.len(), 1);
    }
}

#[test]
fn a_failed_sync_poisons_the_log() {
    let disk = filled(&groups(3), 10_000);
    let mut log = open(&disk, 10_000).unwrap();
    let next = frame(5, log.extent().durable.0 + 1, 1);
    // Reserve, write zeros ahead, write, sync.
    disk.fail_sync_at(disk.operations() + 3);
    assert!(matches!(log.commit(std::slice::from_ref(&next)), Err(StorageError::Io { .. })));
    let again = log.commit(&[next]).unwrap_err();
    assert!(matches!(&again, StorageError::Poisoned { why } if why.contains("failed to sync")), "{again}");
    assert!(log.settle().is_err() && log.stamp(Epoch(9)).is_err());
}

/// The power goes off in the middle of every single operation of a run, and again in the middle of every operation of the
/// recovery: all that was acknowledged is there, and nothing that was not sent.
#[test]
fn power_cut_at_every_operation() {
    let groups = groups(8);
    let frames = groups.concat();
    for seed in 0..6 {
        let mut cut_at = 0;
        loop {
            let disk = DiskSim::new(seed);
            disk.cut_power_at(cut_at);
            let acknowledged = run(&disk, &groups);
            if !disk.is_cut() {
                break;
            }
            disk.restart();
            let start = disk.operations();
            for again in 0..12 {
                let fork = disk.fork();
                fork.cut_power_at(start + again);
                let _ = open(&fork, 300);
                fork.restart();
                check_recovered(&fork, &frames, acknowledged, &format!("seed {seed}, cut at {cut_at} and {again}"));
            }
            check_recovered(&disk, &frames, acknowledged, &format!("seed {seed}, cut at {cut_at}"));
            cut_at += 1;
        }
        assert!(cut_at > 30, "the run has many operations");
    }
}

/// Commits the groups until the power fails; returns the newest acknowledged record and the newest stamped epoch.
fn run(disk: &DiskSim, groups: &[Vec<LogFrame>]) -> (Lsn, Epoch) {
    let mut done = (Lsn::ZERO, Epoch::ZERO);
    let Ok(mut log) = open(disk, 300) else { return done };
    for (i, group) in groups.iter().enumerate() {
        if log.commit(group).is_err() {
            return done;
        }
        done.0 = log.extent().durable;
        if i == 3 {
            if log.stamp(Epoch(40)).is_err() {
                return done;
            }
            done.1 = Epoch(40);
        }
        if i == 5 && log.settle().is_err() {
            return done;
        }
        if i == 6 {
            let _ = log.trim(Lsn(2));
        }
    }
    done
}

fn check_recovered(disk: &DiskSim, frames: &[LogFrame], (durable, epoch): (Lsn, Epoch), what: &str) {
    let log = open(disk, 300).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(log.extent().durable >= durable && log.epoch() >= epoch, "{what}");
    let oldest = log.extent().oldest;
    let mut reader = LogReader::new(Arc::new(disk.clone()), CLUSTER, Lsn(oldest.0 - 1));
    let read = reader.read(&log.extent(), usize::MAX).unwrap();
    let wanted: Vec<_> =
        frames.iter().filter(|f| f.first >= oldest && f.last <= log.extent().durable).cloned().collect();
    assert_eq!(read, wanted, "{what}");
}
