//! The data folder as operators treat it: a vault's disk that is not mounted, and modes that let others in.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::harness::{Cluster, wait_until};
use crate::load::connect_primary;

/// A `vault/` that was missing or empty, as the mount point of a disk that is not mounted, began with nothing and without a word: all
/// keys were gone.
#[test]
fn a_vault_that_is_not_mounted_is_refused_until_a_person_lets_it_begin() {
    let mut cluster = Cluster::start();
    let ports = [cluster.port, cluster.port + 1];
    let (vault, away) = (cluster.data().join("vault"), cluster.data().with_file_name("vault.away"));
    let keys = |ports| {
        let mut connection = connect_primary(ports);
        redis::cmd("EXISTS").arg("king").arg("heir").query::<u64>(&mut connection).expect("an answer")
    };
    redis::cmd("MSET").arg("king").arg(1).arg("heir").arg(2).exec(&mut connect_primary(ports)).expect("acknowledged");
    assert_eq!(cluster.stop(), Some(0));

    fs::rename(&vault, &away).expect("nobody uses it");
    let permit = cluster.data().join("begin-vault");
    let way_out = format!("touch {}", permit.display());
    refused(&cluster, &way_out);
    assert!(!vault.exists(), "a refusal makes nothing");
    fs::create_dir(&vault).expect("a mount point");
    refused(&cluster, &way_out);
    assert_eq!(fs::read_dir(&vault).expect("a folder").count(), 0, "a refusal makes nothing");
    fs::remove_dir(&vault).expect("it is empty");
    fs::rename(&away, &vault).expect("mounted");
    cluster.up();
    assert_eq!(keys(ports), 2);
    assert_eq!(cluster.stop(), Some(0));

    fs::remove_dir_all(&vault).expect("given up");
    fs::write(&permit, "").expect("as the sentence says");
    cluster.up();
    assert_eq!(keys(ports), 0);
    assert_eq!(cluster.stop(), Some(0));
    assert!(!permit.exists(), "it permits one beginning");
}

/// Both `tanist up` and `tanist vault` say what to do, and that starting again changes nothing.
fn refused(cluster: &Cluster, way_out: &str) {
    let up = cluster.up_command().output().expect("up ends");
    let vault = cluster.tool(&["vault"]);
    for (who, output) in [("up", up), ("vault", vault)] {
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(78), "{who}: {said}");
        assert!(said.contains("mount") && said.contains("backup") && said.contains(way_out), "{who}: {said}");
    }
}

/// In a data folder that others may enter, what `up` made could be read by them: `vault/` with all data, and the logs.
#[test]
fn what_a_cluster_keeps_is_its_owners_alone_whatever_the_folder_and_earlier_modes() {
    let mut cluster = Cluster::prepared(&["--image-interval-ms", "200"]);
    fs::create_dir(cluster.data()).expect("a folder that somebody has made");
    fs::set_permissions(cluster.data(), Permissions::from_mode(0o755)).expect("ours");
    cluster.up();
    let ports = [cluster.port, cluster.port + 1];
    redis::cmd("SET").arg("king").arg(1).exec(&mut connect_primary(ports)).expect("acknowledged");
    wait_until("an image is stored", || {
        cluster.status()?["vault"]["images"].as_array().is_some_and(|images| !images.is_empty()).then_some(())
    });
    assert_eq!(open_to_others(&cluster.data()), Vec::<PathBuf>::new());
    assert_eq!(cluster.stop(), Some(0));

    everything(&cluster.data()).iter().for_each(|path| {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
    });
    cluster.up();
    assert_eq!(open_to_others(&cluster.data()), Vec::<PathBuf>::new());
    let mode = fs::metadata(cluster.data()).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o755, "the folder itself may be shared with others");
    assert!(cluster.events().contains("other users could read"), "{}", cluster.events());
    assert_eq!(cluster.stop(), Some(0));
}

fn everything(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| {
            let below = if path.is_dir() { everything(&path) } else { Vec::new() };
            std::iter::once(path).chain(below)
        })
        .collect()
}

fn open_to_others(folder: &Path) -> Vec<PathBuf> {
    let mode = |path: &PathBuf| fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
    everything(folder).into_iter().filter(|path| mode(path) & 0o077 != 0).collect()
}
