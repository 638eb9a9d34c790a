//! Validation of settings: their limits and relations. Each error says which settings conflict, why, and what to do.

use tanist_db_core::limits::SHARDS_MAX;
use tracing_subscriber::filter::EnvFilter;

use super::limits::{
    DATA_PATH_BYTES_MAX, IMAGE_LOG_BYTES_MIN, LEASE_MS_MAX, LEASE_MS_MIN, LOG_LEVEL_BYTES_MAX, MS_MAX,
    PASSWORD_BYTES_MAX, RELAXED_BYTES_MIN, RENEWALS_PER_LEASE_MIN, SENTINEL_NAME_BYTES_MAX, STANDBY_READ_MS_MIN,
    THREADS_MAX,
};
use super::{Config, ConfigError};

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    check_common(config)?;
    check_node(config)
}

/// What concerns every process.
pub(super) fn check_common(config: &Config) -> Result<(), ConfigError> {
    let Config { common, cluster, lease, log, .. } = config;
    let refuse = |sentence: String| Err(ConfigError(sentence));

    let path = common.data.as_os_str().as_encoded_bytes();
    if path.is_empty() || path.contains(&0) || path.len() > DATA_PATH_BYTES_MAX {
        return refuse(format!(
            "data is a path of {} bytes: choose one of 1 to {DATA_PATH_BYTES_MAX} bytes without NUL",
            path.len()
        ));
    }
    check_shards(cluster.shards).map_err(ConfigError)?;
    if !(LEASE_MS_MIN..=LEASE_MS_MAX).contains(&lease.lease_ms) {
        return refuse(format!(
            "lease_ms is {}: choose from {LEASE_MS_MIN} to {LEASE_MS_MAX} milliseconds",
            lease.lease_ms
        ));
    }
    if lease.renew_ms == 0 || lease.renew_ms.saturating_mul(RENEWALS_PER_LEASE_MIN) > lease.lease_ms {
        return refuse(format!(
            "renew_ms is {} and lease_ms is {}: a lease must have room for {RENEWALS_PER_LEASE_MIN} renewals, so set \
             renew_ms to at most {}",
            lease.renew_ms,
            lease.lease_ms,
            lease.lease_ms / RENEWALS_PER_LEASE_MIN
        ));
    }
    if log.log_level.len() > LOG_LEVEL_BYTES_MAX || log.log_level.contains('\0') {
        return refuse(format!(
            "log_level has {} bytes: write at most {LOG_LEVEL_BYTES_MAX}, without NUL",
            log.log_level.len()
        ));
    }
    check_log_level(&log.log_level).map_err(ConfigError)
}

/// Whether the log would understand this filter.
fn check_log_level(filter: &str) -> Result<(), String> {
    EnvFilter::builder().parse(filter).map(drop).map_err(|e| {
        format!("log_level is '{filter}', which is no filter ({e}): write a level like info, or modules like info,tanist=debug")
    })
}

/// Whether the engine takes so many shards.
pub(crate) fn check_shards(shards: u16) -> Result<(), String> {
    match shards.is_power_of_two() && shards <= SHARDS_MAX {
        true => Ok(()),
        false => Err(format!("shards is {shards}: choose a power of two from 1 to {SHARDS_MAX}")),
    }
}

/// Whether clients can be asked for this password.
pub(crate) fn check_password(password: &str) -> Result<(), String> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(format!("argument must be at most {PASSWORD_BYTES_MAX} bytes"));
    }
    // The environment, by which a child process gets it, cannot contain any.
    if password.contains('\0') { Err("argument must not contain NUL".into()) } else { Ok(()) }
}

/// Whether times that depend on each other fit together, in milliseconds.
pub(crate) fn check_waits(lease: u64, durable_wait: u64, relaxed_max: u64) -> Result<(), String> {
    if durable_wait <= lease || durable_wait > MS_MAX {
        return Err(format!(
            "durable_wait_ms is {durable_wait} and lease_ms is {lease}: commands held during a takeover would fail before it \
             could happen, so set durable_wait_ms above lease_ms (and at most {MS_MAX})"
        ));
    }
    if relaxed_max == 0 || relaxed_max > durable_wait {
        return Err(format!(
            "relaxed_ms_max is {relaxed_max} and durable_wait_ms is {durable_wait}: a write cannot be at risk for longer than a \
             command may wait, so set relaxed_ms_max from 1 to durable_wait_ms"
        ));
    }
    Ok(())
}

/// What concerns nodes.
fn check_node(config: &Config) -> Result<(), ConfigError> {
    let Config { lease, node, .. } = config;
    let refuse = |sentence: String| Err(ConfigError(sentence));

    check_waits(lease.lease_ms, node.durable_wait_ms, node.relaxed_ms_max).map_err(ConfigError)?;
    if node.relaxed_bytes_max.0 < RELAXED_BYTES_MIN {
        return refuse(format!("relaxed_bytes_max is {}: set it to 1mb or more", node.relaxed_bytes_max));
    }
    if !(STANDBY_READ_MS_MIN..=MS_MAX).contains(&node.standby_read_ms_max) {
        let max = node.standby_read_ms_max;
        return refuse(format!("standby_read_ms_max is {max}: choose from {STANDBY_READ_MS_MIN} to {MS_MAX}"));
    }
    check_password(&node.requirepass.0).map_err(|why| ConfigError(format!("requirepass: {why}")))?;
    let name = node.sentinel_name.as_bytes();
    if name.is_empty() || name.len() > SENTINEL_NAME_BYTES_MAX || !name.iter().all(u8::is_ascii_graphic) {
        return refuse(format!(
            "sentinel_name has {} bytes: choose a name of 1 to {SENTINEL_NAME_BYTES_MAX} letters, digits and signs of ASCII, without blanks",
            name.len()
        ));
    }
    if node.maxclients == 0 {
        return refuse("maxclients is 0: set it to the number of clients that may be connected at a time".into());
    }
    if !(1..=86_400).contains(&node.pinned_seconds_max) {
        return refuse(format!("pinned_seconds_max is {}: choose from 1 to 86400 (a day)", node.pinned_seconds_max));
    }
    if !(1..=100).contains(&node.pinned_memory_percent) {
        return refuse(format!("pinned_memory_percent is {}: choose from 1 to 100", node.pinned_memory_percent));
    }
    if node.threads > THREADS_MAX {
        return refuse(format!("threads is {}: choose from 0 (by the processors) to {THREADS_MAX}", node.threads));
    }
    check_images(config)
}

fn check_images(config: &Config) -> Result<(), ConfigError> {
    let node = &config.node;
    let refuse = |sentence: String| Err(ConfigError(sentence));
    if node.image_interval_ms == 0 || node.image_interval_ms > MS_MAX {
        return refuse(format!("image_interval_ms is {}: choose from 1 to {MS_MAX}", node.image_interval_ms));
    }
    if !(1..=100).contains(&node.image_memory_percent) {
        return refuse(format!(
            "image_memory_percent is {}: choose from 1 to 100; 100 is enough for any image",
            node.image_memory_percent
        ));
    }
    if node.image_log_bytes.0 < IMAGE_LOG_BYTES_MIN {
        return refuse(format!("image_log_bytes is {}: set it to 1mb or more", node.image_log_bytes));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked() {
        assert_eq!(check_log_level("info,tanist_replication=debug"), Ok(()));
        assert!(check_log_level("tanist=loudly").expect_err("no such level").contains("log_level is 'tanist=loudly'"));
    }
}
