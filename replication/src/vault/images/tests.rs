use bytes::Bytes;
use tanist_db_core::clock::UnixMillis;

use super::*;
use crate::vault::catalog::CatalogMemory;
use crate::vault::disk::sim::DiskSim;
use crate::vault::testing::chunk;
use crate::wire::frame::{FrameKind, seal};

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
        let error = load(&open(&fork, &catalog.fork()).unwrap()).unwrap_err();
        assert!(matches!(&error, StorageError::Damaged { what, .. } if what.contains("missing")), "{name}: {error}");
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

/// A change of these is another version of the envelope.
#[test]
fn golden_bytes_of_a_manifest() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    store(&open(&disk, &catalog).unwrap(), 5, 2, 8).unwrap();
    let name = format!("{:020}-3", 5);
    let value = disk.content(&format!("{IMAGES_FOLDER}/{name}/{MANIFEST}"));
    let frames = wanted(2, 8).concat();
    let file = [&2u32.to_le_bytes()[..], &crc32c::crc32c(&frames).to_le_bytes(), &64u64.to_le_bytes()].concat();
    let (numbers, bytes) =
        ([5u64.to_le_bytes(), 3u64.to_le_bytes()].concat(), [16u64.to_le_bytes(), 1005u64.to_le_bytes()].concat());
    let image = [&numbers[..], &2u32.to_le_bytes(), &bytes].concat();
    // Where the list is, from here on, and how long.
    let list = [&(-68i32).to_le_bytes()[..], &1u32.to_le_bytes()].concat();
    let body = envelope::open(&name, &value).unwrap();
    assert_eq!(body, [file, CLUSTER.to_le_bytes().to_vec(), image, list].concat());
}

#[test]
fn a_reader_gives_about_as_much_as_was_asked_for() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let images = open(&disk, &catalog).unwrap();
    store(&images, 9, 9, 1 << 20).unwrap();
    let frame = wanted(1, 1 << 20)[0].len();
    for (bytes_max, frames) in [(1, 1), (frame, 1), (frame + 1, 2), (3 * frame, 3), (usize::MAX, 9)] {
        let mut reader = images.open_newest().unwrap().unwrap();
        assert_eq!(reader.read(bytes_max).unwrap().len(), frames, "{bytes_max} bytes");
    }
}

/// Sound frames do not make a sound image.
#[test]
fn frames_that_the_manifest_does_not_mean_are_damage() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    store(&open(&disk, &catalog).unwrap(), 10, 3, 40).unwrap();
    let path = format!("{IMAGES_FOLDER}/{:020}-3/{}", 10, file_name(0));
    let frames = wanted(3, 40);
    let refuse = |content: &[u8]| {
        let fork = disk.fork();
        fork.tamper(&path, content);
        let error = load(&open(&fork, &catalog.fork()).unwrap()).unwrap_err().to_string();
        assert!(error.contains(&path), "{error}");
        error
    };
    let swapped = [&frames[1][..], &frames[0], &frames[2]].concat();
    assert!(refuse(&swapped).contains("not what the manifest says"));
    let one_twice = [&frames[0][..], &frames[0], &frames[2]].concat();
    assert!(refuse(&one_twice).contains("not what the manifest says"));
    let other_kind = [&frames[0][..], &seal(FrameKind::Batch, &[7; 40]), &frames[2]].concat();
    assert!(refuse(&other_kind).contains("not a chunk"));
    let long = [&frames[0][..], &frames[1], &seal(FrameKind::Chunk, &[7; 41])].concat();
    assert!(refuse(&long[..frames.concat().len()]).contains("beyond its end"));
    assert!(refuse(&[&frames.concat()[..], &frames[0]].concat()).contains("the manifest says"));
}

#[test]
fn no_damaged_frame_is_given_away() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let images = open(&disk, &catalog).unwrap();
    store(&images, 10, 3, 40).unwrap();
    let path = format!("{IMAGES_FOLDER}/{:020}-3/{}", 10, file_name(0));
    let mut content = disk.content(&path);
    content[2 * wanted(1, 40)[0].len() - 1] ^= 1;
    disk.tamper(&path, &content);
    let mut reader = images.open_newest().unwrap().unwrap();
    assert_eq!(reader.read(1).unwrap(), wanted(1, 40));
    assert!(matches!(reader.read(1), Err(StorageError::Damaged { .. })));
}

#[test]
fn uploads_at_one_time_do_not_disturb_each_other() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let images = open(&disk, &catalog).unwrap();
    let (mut one, mut two) = (images.begin(Lsn(5), Epoch(1)).unwrap(), images.begin(Lsn(6), Epoch(1)).unwrap());
    one.add(&[chunk(0, 10)]).unwrap();
    two.add(&[chunk(1, 10)]).unwrap();
    images.publish(two.finish(1, 10, UnixMillis(0)).unwrap()).unwrap();
    drop(one);
    assert_eq!(load(&images).unwrap(), Some((6, vec![chunk(1, 10).into_bytes()])));
}

#[test]
fn a_manifest_of_another_image_is_damage() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let images = open(&disk, &catalog).unwrap();
    store(&images, 10, 1, 40).unwrap();
    let name = |cut: u64| format!("{cut:020}-3");
    let manifest = |cut| format!("{IMAGES_FOLDER}/{}/{MANIFEST}", name(cut));
    let body = envelope::open(&name(10), &disk.content(&manifest(10))).unwrap().to_vec();
    store(&images, 20, 1, 40).unwrap();
    disk.tamper(&manifest(20), &envelope::seal(&name(20), &body));
    assert!(load(&images).unwrap_err().to_string().contains("another image's"));
    disk.tamper(&manifest(20), &envelope::seal(&name(20), &body[1..]));
    assert!(load(&images).unwrap_err().to_string().contains("not a manifest"));
}

#[test]
fn what_the_catalog_says_of_a_damaged_image_is_still_shown() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let images = open(&disk, &catalog).unwrap();
    store(&images, 10, 3, 40).unwrap();
    disk.tamper(&format!("{IMAGES_FOLDER}/{:020}-3/{MANIFEST}", 10), b"rot");
    assert_eq!(open(&disk, &catalog).unwrap().views(), images.views());
    let bare = open(&disk, &CatalogMemory::default()).unwrap().views();
    assert_eq!((bare.len(), bare[0].cut, bare[0].epoch, bare[0].chunks), (1, 10, 3, 0), "its name is all there is");
}

#[test]
fn the_catalog_lists_what_is_there_and_nothing_else() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let records = Records::new(Arc::new(catalog.clone()));
    let cuts = || records.images().unwrap().iter().map(|image| image.cut).collect::<Vec<_>>();
    let images = open(&disk, &catalog).unwrap();
    for cut in [10, 20, 30] {
        store(&images, cut, 1, 40).unwrap();
    }
    assert_eq!(cuts(), [20, 30]);
    disk.remove_folder(&format!("{IMAGES_FOLDER}/{:020}-3", 20)).unwrap();
    let images = open(&disk, &catalog).unwrap();
    assert_eq!((cuts(), images.views().len()), (vec![30], 1));
    disk.make_folder(&format!("{IMAGES_FOLDER}/{TEMPORARY}7")).unwrap();
    open(&disk, &catalog).unwrap();
    assert_eq!(disk.list(IMAGES_FOLDER).unwrap(), [format!("{:020}-3", 30)], "what was interrupted is gone");
}

#[test]
fn of_two_images_at_one_cut_that_of_the_newer_epoch_is_the_newer() {
    let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
    let images = open(&disk, &catalog).unwrap();
    let publish = |cut, epoch| {
        let mut upload = images.begin(Lsn(cut), Epoch(epoch)).unwrap();
        upload.add(&[chunk(epoch, 10)]).unwrap();
        images.publish(upload.finish(1, 10, UnixMillis(0)).unwrap())
    };
    assert_eq!(publish(10, 3).unwrap(), Lsn(10));
    assert_eq!(publish(20, 3).unwrap(), Lsn(10));
    assert_eq!(publish(20, 3).unwrap(), Lsn(10), "the same again");
    assert_eq!(publish(20, 4).unwrap(), Lsn(20));
    assert!(matches!(publish(20, 3), Err(StorageError::Refused(_))));
    for images in [&images, &open(&disk, &catalog).unwrap()] {
        let epochs: Vec<_> = images.views().iter().map(|view| (view.cut, view.epoch)).collect();
        assert_eq!(epochs, [(20, 4), (20, 3)]);
        assert_eq!(load(images).unwrap().unwrap().1, [chunk(4, 10).into_bytes()]);
    }
}

#[test]
fn names_are_exact() {
    assert_eq!(parse_name("00000000000000000010-3"), Some((10, 3)));
    for name in ["10-3", "00000000000000000010-03", "tmp-1", "00000000000000000010-3.old", "x"] {
        assert_eq!(parse_name(name), None, "{name}");
    }
}
