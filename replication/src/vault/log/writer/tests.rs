use super::*;
use crate::vault::catalog::CatalogMemory;
use crate::vault::disk::sim::DiskSim;
use crate::vault::testing::frame;

const CLUSTER: u128 = 3;

fn writer(disk: &DiskSim) -> LogWriter {
    let records = Records::new(Arc::new(CatalogMemory::default()));
    LogWriter::new(Log::open(Arc::new(disk.clone()), CLUSTER, 300).unwrap(), records)
}

/// What `work` asks of the disk.
fn operations(disk: &DiskSim, work: impl FnOnce()) -> u64 {
    let before = disk.operations();
    work();
    disk.operations() - before
}

#[test]
fn a_group_is_durable_and_there_for_followers() {
    let disk = DiskSim::new(1);
    let mut writer = writer(&disk);
    assert_eq!(operations(&disk, || writer.commit(Vec::new()).unwrap()), 0);
    let frames = vec![frame(1, 1, 2), frame(1, 3, 1)];
    writer.commit(frames.clone()).unwrap();
    assert_eq!((writer.state().extent.durable, writer.state().refused), (Lsn(3), 0));
    assert_eq!(writer.recent().lock().after(Lsn::ZERO, usize::MAX), Some(frames));
    assert!(writer.state().failed.is_none());
}

#[test]
fn frames_behind_a_gap_are_refused_and_counted() {
    let disk = DiskSim::new(1);
    let mut writer = writer(&disk);
    writer.commit(vec![frame(1, 1, 2), frame(1, 4, 1), frame(1, 5, 1)]).unwrap();
    assert_eq!((writer.state().extent.durable, writer.state().refused), (Lsn(2), 2));
    // What is there already does not follow either; what follows it does.
    writer.commit(vec![frame(1, 1, 2), frame(1, 3, 1)]).unwrap();
    assert_eq!((writer.state().extent.durable, writer.state().refused), (Lsn(3), 3));
    writer.commit(vec![frame(1, 9, 1)]).unwrap();
    assert_eq!((writer.state().extent.durable, writer.state().refused), (Lsn(3), 4));
    assert_eq!(writer.recent().lock().after(Lsn(2), usize::MAX), Some(vec![frame(1, 3, 1)]));
}

#[test]
fn a_full_disk_refuses_the_group_with_a_reason_and_fails_nothing() {
    let disk = DiskSim::new(1);
    let mut writer = writer(&disk);
    writer.commit(vec![frame(1, 1, 1)]).unwrap();
    let group = || vec![frame(1, 2, 20), frame(1, 22, 20)];
    disk.set_room(10);
    writer.commit(group()).unwrap();
    assert_eq!((writer.state().extent.durable, writer.state().refused), (Lsn(1), 2));
    assert!(writer.state().refused_why.contains("no room left"), "{}", writer.state().refused_why);
    assert!(writer.state().failed.is_none());
    assert!(writer.recent().lock().after(Lsn(1), usize::MAX).is_none(), "nobody follows what was refused");
    disk.set_room(u64::MAX);
    writer.commit(group()).unwrap();
    assert_eq!((writer.state().extent.durable, writer.state().refused), (Lsn(41), 2));
}

/// Under load there is no idle moment: the mark must not be older than so many groups.
#[test]
fn the_mark_is_settled_when_idle_and_after_many_groups() {
    let disk = DiskSim::new(1);
    let log = Log::open(Arc::new(disk.clone()), CLUSTER, crate::limits::SEGMENT_BYTES).unwrap();
    let mut writer = LogWriter::new(log, Records::new(Arc::new(CatalogMemory::default())));
    assert_eq!(operations(&disk, || writer.settle().unwrap()), 0, "nothing has happened since the start");
    let commit = |writer: &mut LogWriter, lsn| operations(&disk, || writer.commit(vec![frame(1, lsn, 1)]).unwrap());
    commit(&mut writer, 1);
    let plain = commit(&mut writer, 2);
    assert_eq!(operations(&disk, || writer.settle().unwrap()), 1);
    assert_eq!(operations(&disk, || writer.settle().unwrap()), 0);
    let mut settled = Vec::new();
    for group in 1..=2 * u64::from(GROUPS_PER_SETTLE) {
        let asked = commit(&mut writer, 2 + group);
        if writer.unsettled == 0 {
            settled.push((group, asked - plain));
        }
    }
    assert_eq!(settled, [1, 2].map(|times| (times * u64::from(GROUPS_PER_SETTLE), 1)));
}

#[test]
fn a_lease_is_remembered_in_catalog_and_log_with_the_end_if_it_is_new() {
    let disk = DiskSim::new(1);
    let mut writer = writer(&disk);
    writer.commit(vec![frame(1, 1, 5)]).unwrap();
    let record = LeaseRecord { epoch: 7, holder: "a".to_owned(), sealed: 2, ..LeaseRecord::default() };
    assert_eq!(writer.put_lease(record.clone(), true).unwrap(), Lsn(5));
    assert_eq!(writer.records.lease().unwrap(), Some(LeaseRecord { sealed: 5, ..record.clone() }));
    assert_eq!(writer.log.mark.record().epoch, Epoch(7));
    let ended = LeaseRecord { ended: true, ..record };
    assert_eq!(writer.put_lease(ended.clone(), false).unwrap(), Lsn(5));
    assert_eq!(writer.records.lease().unwrap(), Some(ended), "where it began does not change");
}

#[test]
fn trimming_is_told() {
    let disk = DiskSim::new(1);
    let mut writer = writer(&disk);
    for lsn in 1..=30 {
        writer.commit(vec![frame(1, lsn, 1)]).unwrap();
    }
    let before = writer.state().extent;
    writer.trim(Lsn(20));
    let after = writer.state().extent;
    assert!(after.oldest > before.oldest && after.oldest <= Lsn(21) && after.bytes < before.bytes, "{after:?}");
    assert_eq!(after.durable, before.durable);
}

#[test]
fn whatever_the_disk_fails_is_final_and_said() {
    type Work = fn(&mut LogWriter) -> Result<(), StorageError>;
    let failures: [(&str, Work); 4] = [
        ("commit", |writer| writer.commit(vec![frame(1, 2, 1)])),
        ("settle", LogWriter::settle),
        ("lease", |writer| writer.put_lease(LeaseRecord::default(), true).map(drop)),
        ("close", LogWriter::close),
    ];
    for (what, work) in failures {
        let disk = DiskSim::new(1);
        let mut writer = writer(&disk);
        writer.commit(vec![frame(1, 1, 1)]).unwrap();
        disk.stop();
        let error = work(&mut writer).unwrap_err();
        assert_eq!(writer.state().failed.as_deref(), Some(error.to_string().as_str()), "{what}");
        assert_eq!(writer.state().extent.durable, Lsn(1), "{what}");
    }
}

#[test]
fn closing_makes_the_mark_durable() {
    let disk = DiskSim::new(1);
    let mut writer = writer(&disk);
    writer.commit(vec![frame(1, 1, 3)]).unwrap();
    writer.close().unwrap();
    disk.restart();
    assert_eq!(Log::open(Arc::new(disk), CLUSTER, 300).unwrap().extent().durable, Lsn(3));
}
