//! Relations between settings. Each refusal says which settings clash, why, and what to do.

use super::{Config, ConfigError};

/// Shortest lease: below it a busy machine's scheduling alone would end leases.
const LEASE_MS_MIN: u64 = 200;
/// Longest lease, wait or interval that is not obviously a mistake in the unit: a day.
const MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// Renewals that must fit into a lease, so that a lost packet or a slow disk costs no takeover.
const RENEWALS_PER_LEASE_MIN: u64 = 4;
/// Below it a single record of the largest value could never be acknowledged at level relaxed.
const RELAXED_BYTES_MIN: u64 = 1 << 20;
/// More log than this between images makes a restart read for minutes.
const IMAGE_LOG_BYTES_MIN: u64 = 1 << 20;
/// Page tables of more shards cost more than their locks save.
const SHARDS_MAX: u16 = 1024;

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    check_common(config)?;
    check_node(config)
}

/// What concerns every process.
pub(super) fn check_common(config: &Config) -> Result<(), ConfigError> {
    let Config { cluster, lease, log, .. } = config;
    let refuse = |sentence: String| Err(ConfigError(sentence));

    if !cluster.shards.is_power_of_two() || cluster.shards > SHARDS_MAX {
        return refuse(format!("shards is {}: choose a power of two from 1 to {SHARDS_MAX}", cluster.shards));
    }
    if lease.lease_ms < LEASE_MS_MIN || lease.lease_ms > MS_MAX {
        return refuse(format!("lease_ms is {}: choose from {LEASE_MS_MIN} to {MS_MAX} milliseconds", lease.lease_ms));
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
    crate::telemetry::check_filter(&log.log_level).map_err(ConfigError)
}

/// What concerns nodes.
fn check_node(config: &Config) -> Result<(), ConfigError> {
    let Config { lease, node, .. } = config;
    let refuse = |sentence: String| Err(ConfigError(sentence));

    if node.durable_wait_ms <= lease.lease_ms || node.durable_wait_ms > MS_MAX {
        return refuse(format!(
            "durable_wait_ms is {} and lease_ms is {}: commands held during a takeover would fail before it could happen, \
             so set durable_wait_ms above lease_ms (and at most {MS_MAX})",
            node.durable_wait_ms, lease.lease_ms
        ));
    }
    if node.relaxed_bytes_max.0 < RELAXED_BYTES_MIN {
        return refuse(format!("relaxed_bytes_max is {}: set it to 1mb or more", node.relaxed_bytes_max));
    }
    if node.relaxed_ms_max == 0 || node.relaxed_ms_max > node.durable_wait_ms {
        return refuse(format!(
            "relaxed_ms_max is {} and durable_wait_ms is {}: a write cannot be at risk for longer than a command may wait, \
             so set relaxed_ms_max from 1 to durable_wait_ms",
            node.relaxed_ms_max, node.durable_wait_ms
        ));
    }
    if node.maxclients == 0 {
        return refuse("maxclients is 0: set it to the number of clients that may be connected at a time".into());
    }
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
