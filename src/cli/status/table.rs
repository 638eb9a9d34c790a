//! The table of `tanist status`: at most 100 columns wide, one line per process, then other important facts.

use std::fmt::Write;

use tanist_db_core::clock::UnixMillis;

use crate::telemetry::time_of_day;

use super::view::{ClusterStatus, ImageStatus, NodeStatus, VaultStatus};

pub(super) fn table(status: &ClusterStatus, now: UnixMillis) -> String {
    let mut text = format!("cluster {}\n\n", status.cluster);
    line(&mut text, ["", "role", "pid", "address", "epoch", "applied", "durable", "lag"]);
    if !status.vault.address.is_empty() {
        line(&mut text, vault_row(&status.vault).each_ref().map(String::as_str));
    }
    for node in &status.nodes {
        line(&mut text, node_row(node).each_ref().map(String::as_str));
    }
    text.push('\n');
    if !status.vault.reachable {
        let _infallible = writeln!(text, "vault: not reachable ({})", status.vault.why);
    }
    if status.vault.no_room_since_unix_ms > 0 {
        text += &no_room(&status.vault, now);
    }
    for node in &status.nodes {
        if !node.reachable {
            let _infallible = writeln!(text, "node {}: not reachable ({})", node.name, node.why);
        }
        if !node.trouble.is_empty() {
            let _infallible = writeln!(text, "node {}: {}, {}", node.name, node.role, node.trouble);
        }
        if !node.last_takeover.is_empty() {
            let _infallible = writeln!(text, "node {}: {}", node.name, node.last_takeover);
        }
        if node.freeze_pause_us_max > 0 {
            let _infallible = writeln!(text, "node {}: longest freeze {} us", node.name, node.freeze_pause_us_max);
        }
    }
    if let Some(levels) = levels(status) {
        text += &levels;
    }
    if status.vault.reachable {
        let (oldest, log) = (status.vault.oldest_lsn, bytes(status.vault.log_bytes));
        let _infallible = writeln!(text, "log from {oldest}, {log}; {}", images(&status.vault.images, now));
    }
    text
}

fn line(text: &mut String, [name, role, pid, address, epoch, applied, durable, lag]: [&str; 8]) {
    let row = format!("{name:<10} {role:<12} {pid:>7}  {address:<21} {epoch:>5} {applied:>12} {durable:>12} {lag:>8}");
    text.push_str(row.trim_end());
    text.push('\n');
}

fn vault_row(vault: &VaultStatus) -> [String; 8] {
    let known = |number: u64| if vault.reachable { number.to_string() } else { "-".into() };
    [
        "vault".into(),
        if vault.reachable { String::new() } else { "unreachable".into() },
        vault.pid.map_or_else(|| "-".into(), |pid| pid.to_string()),
        vault.address.clone(),
        known(vault.epoch),
        String::new(),
        known(vault.durable_lsn),
        String::new(),
    ]
}

fn node_row(node: &NodeStatus) -> [String; 8] {
    let known = |number: u64| if node.role.is_empty() { "-".into() } else { number.to_string() };
    [
        format!("node {}", node.name),
        match (node.role.as_str(), node.reachable) {
            ("", _) => "unreachable".into(),
            (role, true) => role.into(),
            // What the vault last heard of it may be out of date.
            (role, false) => format!("{role}?"),
        },
        node.pid.map_or_else(|| "-".into(), |pid| pid.to_string()),
        node.resp.clone(),
        known(node.epoch),
        known(node.applied_lsn),
        known(node.durable_lsn),
        known(node.lag_records),
    ]
}

/// What each process knows, as long as the cluster's feature level is not the newest of all.
fn levels(status: &ClusterStatus) -> Option<String> {
    let level = Some(status.vault.level).filter(|level| *level > 0)?;
    let nodes = status.nodes.iter().map(|node| (format!("node {}", node.name), node.newest_level));
    let known: Vec<_> = [("the vault".to_owned(), status.vault.newest_level)].into_iter().chain(nodes).collect();
    if known.iter().all(|(_, newest)| [0, level].contains(newest)) {
        return None;
    }
    let known = known.iter().filter(|(_, newest)| *newest > 0).map(|(who, newest)| format!("{who} {newest}"));
    Some(format!("feature level {level}; known: {}\n", known.collect::<Vec<_>>().join(", ")))
}

fn no_room(vault: &VaultStatus, now: UnixMillis) -> String {
    let since = time_of_day(UnixMillis(vault.no_room_since_unix_ms));
    let seconds = now.0.saturating_sub(vault.no_room_since_unix_ms) / 1000;
    let (appends, images) = (vault.refused_appends, vault.refused_images);
    format!(
        "vault: no room since {since} UTC ({seconds} s); refused: {appends} appends, {images} images\nvault: {}\n",
        vault.trouble
    )
}

fn images(images: &[ImageStatus], now: UnixMillis) -> String {
    match images.first() {
        None => "no image yet".into(),
        Some(newest) => {
            let age = now.0.saturating_sub(newest.stored_unix_ms) / 1000;
            let plural = if images.len() == 1 { "image" } else { "images" };
            let (count, size) = (images.len(), bytes(newest.bytes));
            format!("{count} {plural}, the newest at {} ({size}, {age} s old)", newest.cut)
        }
    }
}

fn bytes(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(shift, _)| bytes >= 1 << shift) {
        Some((shift, unit)) => format!("{}.{} {unit}", bytes >> shift, ((bytes >> (shift - 10)) & 1023) * 10 / 1024),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::{merge, primary, vault};
    use super::*;
    use crate::admin::NodeReport;

    #[test]
    fn the_table_fits_a_terminal_and_says_what_matters() {
        let status = merge(Ok(vault()), |name| match name {
            "a" => Ok(primary()),
            _ => Err("nobody answers there".into()),
        });
        let text = table(&status, UnixMillis(1_700_000_030_000));
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        for part in [
            "node a     primary           11  127.0.0.1:6379",
            "node b     standby?          12  127.0.0.1:6380",
            "vault                        10  127.0.0.1:6381",
            "node b: not reachable (nobody answers there)",
            "node a: took over from b in 120 ms",
            "log from 400, 5.0 MiB; 1 image, the newest at 399 (2.0 MiB, 30 s old)",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }

    /// A primary that had heard nothing of the vault for a minute, and answered nobody, looked like any other.
    #[test]
    fn a_primary_that_cannot_serve_says_so_and_why() {
        let trouble = "cannot serve: no answer from the vault for 3.2 s".to_owned();
        let status = merge(Err("nobody".into()), |_| Ok(NodeReport { trouble: trouble.clone(), ..primary() }));
        let text = table(&status, UnixMillis(0));
        assert!(text.contains("node a: primary, cannot serve: no answer from the vault for 3.2 s"), "{text}");
        assert!(status.nodes.iter().all(|node| !node.serves));
    }

    #[test]
    fn the_largest_numbers_keep_the_lines_short() {
        let node = NodeReport { applied_lsn: u64::MAX >> 24, epoch: 99_999, ..primary() };
        let status = merge(Ok(vault()), |_| Ok(node.clone()));
        assert!(table(&status, UnixMillis(0)).lines().all(|line| line.len() <= 100));
    }

    #[test]
    fn a_vault_without_room_is_shown_as_such() {
        let mut status = merge(Ok(vault()), |_| Ok(primary()));
        assert!(!table(&status, UnixMillis(0)).contains("no room"));
        status.vault.no_room_since_unix_ms = 1_700_000_000_123;
        (status.vault.refused_appends, status.vault.trouble) = (120, "no room left for x: free some".to_owned());
        let text = table(&status, UnixMillis(1_700_000_030_000));
        assert!(
            text.contains("vault: no room since 22:13:20.123 UTC (29 s); refused: 120 appends, 0 images\n"),
            "{text}"
        );
        assert!(text.contains("vault: no room left for x: free some\n"), "{text}");
    }

    #[test]
    fn an_upgrade_under_way_is_shown_until_the_level_has_risen() {
        let mut status = merge(Ok(vault()), |_| Ok(NodeReport { newest_level: 1, ..primary() }));
        assert!(!table(&status, UnixMillis(0)).contains("feature"));
        status.nodes[1].newest_level = 2;
        let text = table(&status, UnixMillis(0));
        assert!(text.contains("feature level 1; known: the vault 1, node a 1, node b 2\n"), "{text}");
        (status.vault.level, status.vault.newest_level, status.nodes[0].newest_level) = (2, 2, 0);
        assert!(!table(&status, UnixMillis(0)).contains("feature"), "what is not known is not shown");
    }

    #[test]
    fn an_unreachable_cluster_is_shown_as_such() {
        let status = merge(Err("nobody".into()), |_| Err("nobody".into()));
        let text = table(&status, UnixMillis(0));
        assert_eq!(text.matches("unreachable").count(), 3, "{text}");
    }
}
