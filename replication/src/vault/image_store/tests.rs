use bytes::Bytes;
use tanist_db_core::clock::UnixMillis;

use super::*;
use crate::vault::catalog::CatalogMemory;
use crate::vault::disk_sim::DiskSim;
use crate::vault::testing::chunk;

const CLUSTER: u128 = 0xabc;

fn open(disk: &DiskSim, catalog: &CatalogMemory) -> Result<ImageStore, StorageError> {
    ImageStore::open(Arc::new(disk.clone()), CLUSTER, Records::new(Arc::new(catalog.clone())))
}

/// Stores an image of `chunks` chunks of `len` bytes each.
fn store(store: &ImageStore, cut: u64, chunks: u32, len: usize) -> Result<(), StorageError> {
    let mut upload = store.begin(Lsn(cut), Epoch(3))?;
    for i in 0..chunks {
        upload.add(&[chunk(u64::from(i), len)])?;
    }
    let finished = upload.finish(chunks, u64::from(chunks) * len as u64, UnixMillis(cut + 1000))?;
    store.publish(finished).map(drop)
}

fn load(store: &ImageStore) -> Result<Option<(u64, Vec<Bytes>)>, StorageError> {
    let Some(mut reader) = store.open_newest()? else { return Ok(None) };
    let mut frames = Vec::new();
    loop {
        let more = reader.read(1)?;
        if more.is_empty() {
            return Ok(Some((reader.view().cut, frames)));
        }
        frames.extend(more);
    }
}

fn wanted(chunks: u32, len: usize) -> Vec<Bytes> {
    (0..chunks).map(|i| chunk(u64::from(i), len).into_bytes()).collect()
}

#[test]
fn what_was_stored_is_loaded_over_several_files_and_a_restart() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let images = open(&disk, &catalog).unwrap();
    assert!(load(&images).unwrap().is_none());
    store(&images, 50, 9, 1 << 20).unwrap();
    disk.restart();
    let images = open(&disk, &catalog).unwrap();
    assert_eq!(load(&images).unwrap().unwrap(), (50, wanted(9, 1 << 20)));
    let view = images.views()[0].clone();
    assert_eq!((view.cut, view.epoch, view.chunks, view.bytes), (50, 3, 9, 9 << 20));
    assert_eq!(view.stored_unix_ms, 1050);
    assert_eq!(
        disk.list(&format!("{IMAGES_FOLDER}/{:020}-3", 50)).unwrap(),
        ["chunks-000000", "chunks-000001", "manifest"]
    );
}

#[test]
fn the_newest_two_are_kept_and_an_older_one_is_refused() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let images = open(&disk, &catalog).unwrap();
    for cut in [10, 20, 30, 40] {
        store(&images, cut, 1, 10).unwrap();
    }
    assert_eq!((images.newest_cut(), images.oldest_cut()), (Some(Lsn(40)), Some(Lsn(30))));
    assert!(matches!(store(&images, 35, 1, 10), Err(StorageError::Refused(_))));
    store(&images, 40, 1, 10).unwrap();
    assert_eq!(disk.list(IMAGES_FOLDER).unwrap().len(), 2);
    disk.restart();
    assert_eq!(open(&disk, &catalog).unwrap().views(), images.views());
}

#[test]
fn only_so_many_uploads_are_under_way_at_once() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let images = open(&disk, &catalog).unwrap();
    let begin = || images.begin(Lsn(5), Epoch(1));
    let mut open: Vec<_> = (0..limits::IMAGE_UPLOADS_MAX).map(|_| begin().unwrap()).collect();
    assert!(matches!(begin(), Err(StorageError::Refused(_))));
    open.pop();
    let mut last = begin().unwrap();
    last.add(&[chunk(0, 10)]).unwrap();
    let last = last.finish(1, 10, UnixMillis(1)).unwrap();
    assert!(begin().is_err(), "one that is not yet published counts");
    assert_eq!(images.publish(last).unwrap(), Lsn(5));
    begin().unwrap();
}

#[test]
fn an_upload_that_is_not_what_was_announced_leaves_nothing() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let images = open(&disk, &catalog).unwrap();
    for (chunks, bytes) in [(1, 20), (3, 20), (2, 21), (0, 0)] {
        let mut upload = images.begin(Lsn(5), Epoch(1)).unwrap();
        upload.add(&[chunk(0, 10), chunk(1, 10)]).unwrap();
        assert!(matches!(upload.finish(chunks, bytes, UnixMillis(0)), Err(StorageError::Refused(_))));
    }
    drop(images.begin(Lsn(5), Epoch(1)).unwrap());
    assert!(images.begin(Lsn(5), Epoch(1)).unwrap().finish(0, 0, UnixMillis(0)).is_err(), "an image holds something");
    assert_eq!(disk.list(IMAGES_FOLDER).unwrap(), [""; 0]);
}

#[test]
fn a_full_disk_refuses_an_upload_and_leaves_nothing() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let images = open(&disk, &catalog).unwrap();
    store(&images, 1, 1, 100).unwrap();
    disk.set_room(150);
    assert!(matches!(store(&images, 2, 2, 100), Err(StorageError::Full { .. })));
    assert_eq!(disk.list(IMAGES_FOLDER).unwrap().len(), 1);
    disk.set_room(u64::MAX);
    store(&images, 2, 2, 100).unwrap();
}

#[test]
fn a_lost_catalog_is_made_again_from_the_manifests() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let images = open(&disk, &catalog).unwrap();
    store(&images, 10, 2, 100).unwrap();
    store(&images, 20, 2, 100).unwrap();
    let fresh = CatalogMemory::default();
    assert_eq!(open(&disk, &fresh).unwrap().views(), images.views());
    assert_eq!(Records::new(Arc::new(fresh)).images().unwrap().len(), 2);
}

#[test]
fn every_flipped_bit_and_every_truncation_is_an_error_that_names_the_file() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let images = open(&disk, &catalog).unwrap();
    store(&images, 9, 2, 40).unwrap();
    store(&images, 10, 3, 40).unwrap();
    let folder = format!("{IMAGES_FOLDER}/{:020}-3", 10);
    for name in disk.list(&folder).unwrap() {
        let path = format!("{folder}/{name}");
        let content = disk.content(&path);
        let refuse = |tampered: &[u8], what: &str| {
            let fork = disk.fork();
            fork.tamper(&path, tampered);
            let images = open(&fork, &catalog.fork()).unwrap();
            assert_eq!(images.views().len(), 2, "the damaged image still counts as the newest");
            let error = load(&images).expect_err(what);
            assert!(error.to_string().contains(&path), "{what}: {error}");
        };
        for bit in 0..content.len() * 8 {
            let mut flipped = content.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            refuse(&flipped, &format!("bit {bit} of {name}"));
        }
        for len in 0..content.len() {
            refuse(&content[..len], &format!("{name} cut to {len}"));
        }
        let fork = disk.fork();
        fork.remove_file(&path).unwrap();
        assert!(load(&open(&fork, &catalog.fork()).unwrap()).is_err(), "{name} removed");
    }
}

#[test]
fn another_clusters_image_is_refused() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    store(&open(&disk, &catalog).unwrap(), 10, 1, 40).unwrap();
    let other = ImageStore::open(Arc::new(disk), CLUSTER + 1, Records::new(Arc::new(CatalogMemory::default())));
    assert!(matches!(other, Err(StorageError::OtherCluster { .. })));
}

/// The power goes off in the middle of every operation of a run: the newest image that was acknowledged is there, whole.
#[test]
fn power_cut_at_every_operation() {
    for seed in 0..6 {
        let mut cut_at = 0;
        loop {
            let (disk, catalog) = (DiskSim::new(seed), CatalogMemory::default());
            disk.cut_power_at(cut_at);
            let acknowledged = run(&disk, &catalog);
            if !disk.is_cut() {
                break;
            }
            disk.restart();
            let images = open(&disk, &catalog).unwrap();
            let what = format!("seed {seed}, cut at {cut_at}");
            match load(&images).unwrap_or_else(|error| panic!("{what}: {error}")) {
                None => assert_eq!(acknowledged, 0, "{what}"),
                Some((cut, frames)) => {
                    assert!(cut >= acknowledged, "{what}");
                    assert_eq!(frames, wanted(u32::try_from(cut).unwrap(), 600), "{what}");
                }
            }
            assert!(disk.list(IMAGES_FOLDER).unwrap().iter().all(|name| !name.starts_with(TEMPORARY)), "{what}");
            cut_at += 1;
        }
        assert!(cut_at > 30, "the run has many operations");
    }
}

fn run(disk: &DiskSim, catalog: &CatalogMemory) -> u64 {
    let mut acknowledged = 0;
    let Ok(images) = open(disk, catalog) else { return acknowledged };
    for cut in 1..=4 {
        if store(&images, cut, u32::try_from(cut).unwrap(), 600).is_err() {
            return acknowledged;
        }
        acknowledged = cut;
    }
    acknowledged
}

#[test]
fn names_are_exact() {
    assert_eq!(parse_name("00000000000000000010-3"), Some((10, 3)));
    for name in ["10-3", "00000000000000000010-03", "tmp-1", "00000000000000000010-3.old", "x"] {
        assert_eq!(parse_name(name), None, "{name}");
    }
}
