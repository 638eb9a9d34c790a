//! Opens everything that a vault stores (log, images, catalog) and checks the parts against each other.

use std::sync::Arc;

use tanist_db_core::ids::Lsn;
use tanist_db_core::level::{Level, Levels};

use super::beginning;
use super::catalog::{Catalog, LeaseRecord, Records};
use super::disk::Disk;
use super::error::StorageError;
use super::images::ImageStore;
use super::log::Log;
use super::log::segment::LOG_FOLDER;
use crate::limits;

/// Log, images and catalog of one vault.
#[derive(Debug)]
pub struct Storage {
    /// Where log and images are.
    pub disk: Arc<dyn Disk>,
    /// Whose they are.
    pub cluster: u128,
    /// The redo log.
    pub log: Log,
    /// The images.
    pub images: ImageStore,
    /// The catalog.
    pub records: Records,
    /// The lease as it was when the vault stopped.
    pub lease: LeaseRecord,
}

impl Storage {
    /// Opens everything, or begins it where there is nothing.
    ///
    /// # Errors
    /// If anything belongs to another cluster, is damaged, or contradicts the rest.
    pub fn open(disk: Arc<dyn Disk>, catalog: Arc<dyn Catalog>, cluster: u128) -> Result<Self, StorageError> {
        Self::open_with(disk, catalog, cluster, limits::SEGMENT_BYTES, Levels::OWN)
    }

    /// [`Storage::open`] with log segments of another size, in a vault that knows the feature `levels`.
    ///
    /// # Errors
    /// As [`Storage::open`].
    pub fn open_with(
        disk: Arc<dyn Disk>,
        catalog: Arc<dyn Catalog>,
        cluster: u128,
        segment_bytes_max: u64,
        levels: Levels,
    ) -> Result<Self, StorageError> {
        let records = Records::new(catalog);
        let known = records.knows(cluster)?;
        if let Some(lease) = records.lease()?.filter(|lease| lease.level > 0) {
            let refuse = |error| StorageError::Level { file: records.place(), error };
            levels.check(Level(lease.level)).map_err(refuse)?;
        }
        // The log is made durable before the catalog is entered.
        if known && !beginning::has_log(&*disk, cluster)? {
            return Err(StorageError::damaged(&*disk, LOG_FOLDER, 0, "it is missing, though there is a catalog"));
        }
        let log = Log::open(Arc::clone(&disk), cluster, segment_bytes_max)?;
        let lease = recall_lease(&records, known, &log)?;
        check_lease(&*disk, &records, &lease, &log)?;
        if !known {
            records.enter(cluster)?;
            records.put_lease(&lease)?;
        }
        let images = ImageStore::open(Arc::clone(&disk), cluster, records.clone())?;
        check_images(&*disk, &images, &log)?;
        Ok(Self { disk, cluster, log, images, records, lease })
    }
}

/// The lease as remembered. A catalog that was removed is made again: the log knows the newest epoch, nobody is taken for
/// its holder, and it counts as held for its full length.
fn recall_lease(records: &Records, known: bool, log: &Log) -> Result<LeaseRecord, StorageError> {
    if let Some(lease) = records.lease()? {
        return Ok(lease);
    }
    let epoch = log.epoch();
    if (known || !records.is_new()) && epoch.0 > 0 {
        return Err(records.damaged("lease", format!("it is missing, though the log knows epoch {epoch}")));
    }
    if epoch.0 > 0 {
        tracing::warn!(catalog = records.place(), %epoch, "the catalog was lost; making it again from log and images");
    }
    Ok(LeaseRecord { epoch: epoch.0, sealed: log.extent().durable.0, ..LeaseRecord::default() })
}

fn check_lease(disk: &dyn Disk, records: &Records, lease: &LeaseRecord, log: &Log) -> Result<(), StorageError> {
    if lease.epoch < log.epoch().0 {
        let what = format!("it knows epoch {}, the log knows epoch {}", lease.epoch, log.epoch());
        return Err(records.damaged("lease", what));
    }
    let end = log.extent().durable;
    if Lsn(lease.sealed) > end {
        let what = format!("it ends at record {end}, but epoch {} began after record {}", lease.epoch, lease.sealed);
        return Err(StorageError::damaged(disk, LOG_FOLDER, 0, what));
    }
    Ok(())
}

fn check_images(disk: &dyn Disk, images: &ImageStore, log: &Log) -> Result<(), StorageError> {
    let extent = log.extent();
    let newest = images.newest_cut().unwrap_or(Lsn::ZERO);
    if newest > extent.durable {
        let what = format!("it ends at record {}, but an image reaches to record {newest}", extent.durable);
        return Err(StorageError::damaged(disk, LOG_FOLDER, 0, what));
    }
    if extent.oldest > newest.next() {
        let oldest = extent.oldest;
        let what = format!("it begins at record {oldest}, but no image holds the records before: segments are missing");
        return Err(StorageError::damaged(disk, LOG_FOLDER, 0, what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tanist_db_core::clock::UnixMillis;
    use tanist_db_core::ids::Epoch;

    use super::*;
    use crate::vault::catalog::CatalogMemory;
    use crate::vault::disk::sim::DiskSim;
    use crate::vault::log::segment::segment_path;
    use crate::vault::testing::{chunk, frame};

    const CLUSTER: u128 = 5;

    fn open(disk: &DiskSim, catalog: &CatalogMemory) -> Result<Storage, StorageError> {
        Storage::open(Arc::new(disk.clone()), Arc::new(catalog.clone()), CLUSTER)
    }

    /// Records 1 to 6 under epoch 2 as primary, an image at 4.
    fn sample() -> (DiskSim, CatalogMemory) {
        let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
        let mut storage = open(&disk, &catalog).unwrap();
        assert_eq!(storage.lease, LeaseRecord::default());
        storage.log.commit(&[frame(1, 1, 3), frame(2, 4, 3)]).unwrap();
        storage.log.stamp(Epoch(2)).unwrap();
        let lease = LeaseRecord { epoch: 2, holder: "a".to_owned(), sealed: 3, ..LeaseRecord::default() };
        storage.records.put_lease(&lease).unwrap();
        let mut upload = storage.images.begin(Lsn(4), Epoch(2)).unwrap();
        upload.add(&[chunk(1, 10)]).unwrap();
        storage.images.publish(upload.finish(1, 10, UnixMillis(0)).unwrap()).unwrap();
        disk.restart_process();
        (disk, catalog)
    }

    #[test]
    fn a_lost_catalog_is_made_again_without_a_holder() {
        let (disk, catalog) = sample();
        assert_eq!(open(&disk, &catalog).unwrap().lease.holder, "a");
        let fresh = CatalogMemory::default();
        let storage = open(&disk, &fresh).unwrap();
        assert_eq!((storage.lease.epoch, storage.lease.holder.as_str(), storage.lease.sealed), (2, "", 6));
        assert_eq!((storage.lease.ended, storage.images.newest_cut()), (false, Some(Lsn(4))));
        assert_eq!(open(&disk, &fresh).unwrap().lease, storage.lease);
    }

    #[test]
    fn a_catalog_that_has_forgotten_an_epoch_is_refused() {
        let (disk, catalog) = sample();
        let records = Records::new(Arc::new(catalog.clone()));
        records.put_lease(&LeaseRecord { epoch: 1, ..LeaseRecord::default() }).unwrap();
        let error = open(&disk, &catalog).unwrap_err().to_string();
        assert!(error.contains("sim:catalog") && error.contains("knows epoch 2"), "{error}");
        catalog.remove("lease").unwrap();
        assert!(open(&disk, &catalog).unwrap_err().to_string().contains("missing"));
    }

    #[test]
    fn a_log_that_lacks_what_lease_or_images_rely_on_is_refused() {
        let (disk, catalog) = sample();
        let lease = LeaseRecord { epoch: 3, sealed: 7, ..LeaseRecord::default() };
        Records::new(Arc::new(catalog.fork())).put_lease(&lease).unwrap();
        let forgetful = catalog.fork();
        Records::new(Arc::new(forgetful.clone())).put_lease(&lease).unwrap();
        assert!(open(&disk.fork(), &forgetful).unwrap_err().to_string().contains("epoch 3 began after record 7"));
        let fork = disk.fork();
        fork.remove_file(&segment_path(Lsn(1))).unwrap();
        assert!(open(&fork, &catalog.fork()).is_err(), "all segments are gone");
    }

    /// A log folder that was lost as a whole began again at record 1, without a word, as long as there was only one epoch.
    #[test]
    fn a_catalog_without_any_log_is_refused() {
        let (disk, catalog) = (DiskSim::new(1), CatalogMemory::default());
        let mut storage = open(&disk, &catalog).unwrap();
        storage.records.put_lease(&LeaseRecord { epoch: 1, ..LeaseRecord::default() }).unwrap();
        storage.log.commit(&[frame(1, 1, 3)]).unwrap();
        let lost = DiskSim::new(2);
        let error = open(&lost, &catalog).unwrap_err().to_string();
        assert!(error.contains("sim:log") && error.contains("missing"), "{error}");
        assert!(lost.paths().is_empty());
    }

    #[test]
    fn another_clusters_folder_is_refused_unchanged() {
        let (disk, catalog) = sample();
        let before = disk.operations();
        let other = |catalog| Storage::open(Arc::new(disk.clone()), Arc::new(catalog), CLUSTER + 1);
        assert!(matches!(other(catalog.clone()), Err(StorageError::OtherCluster { .. })));
        assert_eq!(disk.operations(), before);
        let fresh = CatalogMemory::default();
        assert!(matches!(other(fresh.clone()), Err(StorageError::OtherCluster { .. })));
        assert!(fresh.keys("").unwrap().is_empty());
    }

    /// A release that does not know what is kept must not begin to change it.
    #[test]
    fn a_folder_of_another_feature_level_is_refused_unchanged() {
        let (disk, catalog) = sample();
        let records = Records::new(Arc::new(catalog.clone()));
        let lease = records.lease().unwrap().unwrap();
        records.put_lease(&LeaseRecord { level: 2, ..lease }).unwrap();
        let before = disk.operations();
        let open = |oldest, newest| {
            let levels = Levels { oldest: Level(oldest), newest: Level(newest) };
            Storage::open_with(
                Arc::new(disk.clone()),
                Arc::new(catalog.clone()),
                CLUSTER,
                limits::SEGMENT_BYTES,
                levels,
            )
        };
        for (oldest, newest, known) in [(1, 1, "level 1 only"), (3, 4, "levels 3 to 4")] {
            let why = open(oldest, newest).unwrap_err().to_string();
            assert!(why.contains("sim:catalog is at feature level 2, and") && why.contains(known), "{why}");
        }
        assert_eq!(disk.operations(), before);
        assert!(open(1, 2).is_ok() && open(2, 3).is_ok());
    }
}
