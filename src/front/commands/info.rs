//! `INFO [section ...]`.
//!
//! Fields that exist in Redis have the same names and units, because tools parse them; fields that only Tanist has start with
//! `tanist_`.

use std::fmt::{Display, Write as _};

use tanist_db_core::command::{Call, Outcome, Reply, is};
use tanist_db_core::engine::{DatabaseCounts, Engine, Memory, Session};
use tanist_db_core::level::Levels;
use tanist_replication::serving::Role;

use super::REDIS_VERSION;
use super::replication::{host_and_port, last};
use crate::config::Durability;
use crate::front::HealthSigns;
use crate::front::caller::Caller;
use crate::front::context::Stats;
use crate::front::health::primary_elsewhere;

/// The lines of one section.
struct SectionText(String);

impl SectionText {
    fn add(&mut self, key: &str, value: impl Display) {
        let _ = write!(self.0, "{key}:{value}\r\n");
    }
}

type Section = (&'static str, fn(&Caller, &mut SectionText));

const SECTIONS: [Section; 10] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("CPU", cpu),
    ("Cluster", cluster),
    ("Keyspace", keyspace),
    ("Tanist", tanist),
];

pub(super) fn run(caller: &mut Caller, call: &Call<'_>, _: &mut Session, reply: &mut Reply) -> Outcome {
    let wanted = &call.args()[1..];
    let all =
        wanted.is_empty() || wanted.iter().any(|name| ["all", "default", "everything"].iter().any(|w| is(name, w)));
    let mut lines = SectionText(String::with_capacity(4096));
    for (name, write) in SECTIONS {
        if all || wanted.iter().any(|wanted| is(wanted, name)) {
            if !lines.0.is_empty() {
                lines.0.push_str("\r\n");
            }
            let _ = write!(lines.0, "# {name}\r\n");
            write(caller, &mut lines);
        }
    }
    reply.verbatim("txt", &lines.0);
    Ok(())
}

fn server(caller: &Caller, lines: &mut SectionText) {
    let identity = &caller.context.identity;
    let now = caller.context.clock.unix();
    let uptime = now.0.saturating_sub(identity.started.0) / 1000;
    lines.add("redis_version", REDIS_VERSION);
    lines.add("tanist_version", env!("CARGO_PKG_VERSION"));
    lines.add("redis_mode", if caller.context.settings.is_cluster() { "cluster" } else { "standalone" });
    lines.add("os", format_args!("{} {}", std::env::consts::OS, std::env::consts::ARCH));
    lines.add("arch_bits", usize::BITS);
    lines.add("multiplexing_api", "epoll");
    lines.add("process_id", std::process::id());
    lines.add("run_id", format_args!("{:040x}", identity.incarnation));
    lines.add("tcp_port", identity.port);
    lines.add("server_time_usec", now.0 * 1000);
    lines.add("uptime_in_seconds", uptime);
    lines.add("uptime_in_days", uptime / 86_400);
    lines.add("io_threads_active", u8::from(identity.threads > 1));
    lines.add("tanist_node", &identity.node);
}

fn clients(caller: &Caller, lines: &mut SectionText) {
    lines.add("connected_clients", caller.context.registry.count());
    lines.add("maxclients", caller.context.settings.connections_max());
    lines.add("blocked_clients", caller.context.registry.blocked());
}

fn memory(caller: &Caller, lines: &mut SectionText) {
    let memory = caller.context.engine().map_or(Memory::default(), |engine| engine.memory());
    let used = memory.used;
    let resident = process::resident_bytes();
    let max = caller.context.settings.memory_bytes_max();
    lines.add("used_memory", used);
    lines.add("used_memory_human", human(used));
    lines.add("used_memory_rss", resident);
    lines.add("used_memory_rss_human", human(resident));
    lines.add("maxmemory", max);
    lines.add("maxmemory_human", human(max));
    lines.add("maxmemory_policy", "noeviction");
    lines.add("mem_allocator", "mimalloc");
    let figure = |read: fn(&Engine) -> u64| caller.context.engine().map_or(0, |engine| read(engine));
    lines.add("tanist_page_bytes", memory.pages);
    lines.add("tanist_slab_bytes", memory.slabs);
    lines.add("tanist_slab_fill", format_args!("{:.3}", memory.slab_fill()));
    lines.add("tanist_reclaimable_bytes", memory.reclaimable);
    lines.add("tanist_reclaimable_keys", memory.reclaimable_keys);
    lines.add("tanist_cleared_bytes", memory.cleared);
    lines.add("tanist_frozen_bytes", figure(Engine::frozen_bytes));
    let pins = caller.context.pins.figures(caller.now);
    lines.add("tanist_pinned_versions", pins.versions);
    lines.add("tanist_pinned_connections", pins.connections);
    lines.add("tanist_pinned_oldest_seconds", pins.oldest.as_secs());
    lines.add("tanist_pins_ended", pins.ended);
    lines.add("tanist_large_replies", pins.replies);
    lines.add("tanist_free_bytes", figure(|engine| engine.pool().bytes_free()));
    lines.add("tanist_returned_bytes", figure(|engine| engine.pool().bytes_returned()));
}

fn persistence(caller: &Caller, lines: &mut SectionText) {
    let images = caller.context.admin().map(|admin| admin.images()).unwrap_or_default();
    let status = |well: bool| if well { "ok" } else { "err" };
    lines.add("loading", u8::from(caller.context.engine().is_none()));
    lines.add("async_loading", 0);
    if caller.context.engine().is_none() {
        loading(caller, lines);
    }
    lines.add("rdb_changes_since_last_save", last(caller).0.saturating_sub(images.last.map_or(0, |image| image.cut)));
    lines.add("rdb_bgsave_in_progress", u8::from(images.since.is_some()));
    lines.add("rdb_last_save_time", images.stored_unix_ms / 1000);
    lines.add("rdb_last_bgsave_status", status(!images.failed));
    let seconds = |time: Option<u64>| time.map_or_else(|| "-1".to_owned(), |seconds| seconds.to_string());
    lines.add("rdb_last_bgsave_time_sec", seconds(images.last.map(|image| image.took_us / 1_000_000)));
    lines.add("rdb_current_bgsave_time_sec", seconds(images.since.map(|since| caller.now.since(since).as_secs())));
    lines.add("rdb_saves", images.stored);
    lines.add("aof_enabled", 1);
    lines.add("aof_rewrite_in_progress", 0);
    lines.add("aof_last_write_status", status(HealthSigns::of(&caller.context).confirms()));
}

/// How far loading is. A client that asks tries again after so many seconds: 0 if the rest takes less than half of one, and
/// Redis's guess of 1 while there is nothing to go by.
fn loading(caller: &Caller, lines: &mut SectionText) {
    let context = &caller.context;
    let (total, loaded) = (context.loading.bytes_total(), context.loading.bytes_loaded());
    let left = context.loading.time_left(context.clock.monotonic());
    let seconds = left.map_or(1, |left| left.as_secs_f64().round() as u64);
    lines.add("loading_start_time", context.identity.started.0 / 1000);
    lines.add("loading_total_bytes", total);
    lines.add("loading_rdb_used_mem", total);
    lines.add("loading_loaded_bytes", loaded);
    lines.add("loading_loaded_perc", format_args!("{:.2}", loaded as f64 * 100.0 / total.max(1) as f64));
    lines.add("loading_eta_seconds", seconds);
}

fn stats(caller: &Caller, lines: &mut SectionText) {
    let stats = &caller.context.stats;
    lines.add("total_connections_received", caller.context.registry.accepted());
    lines.add("total_commands_processed", Stats::read(&stats.commands));
    lines.add("total_net_input_bytes", Stats::read(&stats.input_bytes));
    lines.add("total_net_output_bytes", Stats::read(&stats.output_bytes));
    lines.add("rejected_connections", caller.context.registry.refused());
    lines.add("client_output_buffer_limit_disconnections", caller.context.registry.cut_offs());
    lines.add("tanist_not_durable_replies", Stats::read(&stats.not_durable));
    lines.add("tanist_not_executed_commands", Stats::read(&stats.not_executed));
    lines.add("tanist_standby_reads", Stats::read(&stats.standby_reads));
    lines.add("tanist_protocol_errors", Stats::read(&stats.protocol_errors));
}

fn replication(caller: &Caller, lines: &mut SectionText) {
    let serving = &caller.context.serving;
    let last = last(caller);
    let role = serving.role();
    if caller.context.takes_writes() {
        let standbys = caller.context.admin().map(|admin| admin.standbys()).unwrap_or_default();
        lines.add("role", "master");
        lines.add("connected_slaves", standbys.len());
        lines.add("min_slaves_good_slaves", standbys.len());
        for (i, standby) in standbys.iter().enumerate() {
            let (host, port) = host_and_port(&standby.resp);
            let lag = last.0.saturating_sub(standby.applied.0);
            lines.add(
                &format!("slave{i}"),
                format_args!("ip={host},port={port},state=online,offset={},lag={}", standby.applied, u8::from(lag > 0)),
            );
        }
    } else {
        let primary = primary_elsewhere(&caller.context);
        let (host, port) = primary.as_ref().map_or(("", "0"), |primary| host_and_port(&primary.resp));
        lines.add("role", "slave");
        lines.add("master_host", host);
        lines.add("master_port", port);
        let signs = HealthSigns::of(&caller.context);
        lines.add("master_link_status", if signs.is_linked() { "up" } else { "down" });
        lines.add("master_sync_in_progress", u8::from(role == Role::Joining));
        if let Some(down) = signs.vault_silent() {
            lines.add("master_link_down_since_seconds", down.as_secs());
        }
        if let Some(age) = caller.context.data_age(caller.now) {
            lines.add("tanist_data_age_ms", age.as_millis());
        }
        lines.add("slave_repl_offset", last);
        lines.add("slave_read_only", 1);
        lines.add("connected_slaves", 0);
    }
    lines.add("master_replid", format_args!("{:0<40}", caller.context.identity.cluster));
    lines.add("master_repl_offset", last);
}

/// What Redis has no words for: role, lease, vault and log.
fn tanist(caller: &Caller, lines: &mut SectionText) {
    let context = &caller.context;
    let serving = &context.serving;
    let signs = HealthSigns::of(context);
    let last = last(caller);
    let silent = signs.vault_silent();
    let known = signs.knows_vault();
    lines.add("tanist_role", serving.role().word());
    lines.add("tanist_epoch", serving.epoch());
    lines.add("tanist_executing", if signs.executes() { "yes" } else { "no" });
    lines.add("tanist_trouble", signs.trouble().unwrap_or_default());
    lines.add("tanist_vault_trouble", context.admin().map_or_else(String::new, |admin| admin.vault_trouble()));
    lines.add("tanist_lease_left_ms", serving.lease_until().since(context.clock.monotonic()).as_millis());
    lines.add("tanist_vault_link", if known && silent.is_none() { "up" } else { "down" });
    if let Some(silent) = silent {
        lines.add("tanist_vault_link_down_since_seconds", silent.as_secs());
    }
    lines.add("tanist_feature_level", context.engine().map_or(0, |engine| engine.level().0));
    lines.add("tanist_feature_level_newest", Levels::OWN.newest);
    lines.add("tanist_last_lsn", last);
    lines.add("tanist_durable_lsn", serving.durable());
    lines.add("tanist_durability", context.settings.durability());
    if context.settings.durability() == Durability::Relaxed {
        let risk = context.risk.at(last, serving.durable(), caller.now);
        lines.add("tanist_at_risk_bytes", risk.bytes);
        lines.add("tanist_at_risk_ms", risk.time.as_millis());
    }
}

fn cpu(_: &Caller, lines: &mut SectionText) {
    let (system, user) = process::cpu_seconds();
    lines.add("used_cpu_sys", format_args!("{system:.6}"));
    lines.add("used_cpu_user", format_args!("{user:.6}"));
}

fn cluster(caller: &Caller, lines: &mut SectionText) {
    lines.add("cluster_enabled", u8::from(caller.context.settings.is_cluster()));
}

fn keyspace(caller: &Caller, lines: &mut SectionText) {
    let Some(engine) = caller.context.engine() else { return };
    for DatabaseCounts { logical, keys, expiring } in engine.databases() {
        lines.add(&format!("db{logical}"), format_args!("keys={keys},expires={expiring},avg_ttl=0"));
    }
}

/// Bytes as Redis writes them for people: `1.50M`.
fn human(bytes: u64) -> String {
    let units = [(1_u64 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, letter)) => format!("{:.2}{letter}", bytes as f64 / unit as f64),
        None => format!("{bytes}B"),
    }
}

/// What the system says of this process; zeros where it says nothing.
mod process {
    use std::fs::read_to_string;

    /// The kernel tells times in these, whatever its own clock does (USER_HZ).
    const TICKS_PER_SECOND: f64 = 100.0;

    pub(super) fn resident_bytes() -> u64 {
        let status = read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim_end_matches("kB").trim().parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    }

    /// Processor time in the system and in the program.
    pub(super) fn cpu_seconds() -> (f64, f64) {
        let stat = read_to_string("/proc/self/stat").unwrap_or_default();
        // The program's name, in parentheses, may contain blanks. Then comes field 3; 14 is user time, 15 system time, in ticks.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut times = fields
            .split_ascii_whitespace()
            .skip(11)
            .map(|field| field.parse::<f64>().unwrap_or(0.0) / TICKS_PER_SECOND);
        let user = times.next().unwrap_or(0.0);
        (times.next().unwrap_or(0.0), user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_for_people() {
        assert_eq!([0, 1023, 1536, 3 << 30].map(human), ["0B", "1023B", "1.50K", "3.00G"]);
    }

    #[test]
    fn the_process_has_used_memory_and_time() {
        assert!(process::resident_bytes() > 1 << 20);
        let (system, user) = process::cpu_seconds();
        assert!(system >= 0.0 && user >= 0.0);
    }
}
