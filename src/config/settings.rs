//! The declaration of every setting: name, type, default, environment variable, unit and meaning, each once.
//!
//! The macro generates for each section (a table of the file, a heading of `--help`)
//! - a *layer*, in which every setting may be absent: what clap reads from flags and environment, what serde reads from a file;
//! - the *section*, in which every setting has its value, as the program uses it.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use super::value::{
    BasePort, ByteSize, ClusterMode, DebugCommand, Durability, FlagValue, Host, LogFormat, Password, Standby,
};

/// A layer's settings as flags, and those that must not be seen in a list of processes as environment variables.
#[derive(Debug, Default)]
pub(crate) struct ForChild {
    /// `--name value` pairs.
    pub(crate) args: Vec<OsString>,
    /// `TANIST_NAME`, value.
    pub(crate) env: Vec<(&'static str, OsString)>,
}

fn help(meaning: &str, default: &str) -> String {
    let meaning = meaning.trim_start();
    if default.is_empty() { meaning.to_owned() } else { format!("{meaning} [default: {default}]") }
}

macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident / $layer:ident, $heading:literal {
            $($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:literal, $unit:literal, $env:literal, $shown:ident;)+
        }
    )+) => {$(
        $(#[doc = $section_doc])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $section {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        #[doc = concat!("A layer of [`", stringify!($section), "`]: what one source says, and nothing else.")]
        #[derive(Clone, Debug, Default, PartialEq, clap::Args, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        #[command(next_help_heading = $heading)]
        pub struct $layer {
            $(
                #[doc = concat!("See [`", stringify!($section), "::", stringify!($name), "`].")]
                #[arg(long, env = $env, hide_env_values = true, value_name = $unit,
                    help = help(concat!($($doc),+), $default))]
                pub $name: Option<$type>,
            )+
        }

        impl $layer {
            /// Returns each setting from this layer if it is set here, else from the layer below.
            #[must_use]
            pub fn over(self, below: Self) -> Self {
                Self { $($name: self.$name.or(below.$name),)+ }
            }

            /// Returns every setting with its value: the layer's or the default.
            #[must_use]
            pub fn resolve(self) -> $section {
                $section {
                    $($name: self.$name.unwrap_or_else(|| {
                        $default.parse().unwrap_or_else(|_| panic!("default of {} must parse", stringify!($name)))
                    }),)+
                }
            }

            #[allow(dead_code, reason = "not every section has settings that a child is given")]
            pub(crate) fn for_child(&self, child: &mut ForChild) {
                $(if let Some(value) = &self.$name { settings!(@child $shown, child, $name, $env, value); })+
            }
        }

        impl Default for $section {
            fn default() -> Self {
                $layer::default().resolve()
            }
        }
    )+};
    (@child shown, $child:ident, $name:ident, $env:literal, $value:ident) => {{
        $child.args.push(format!("--{}", stringify!($name).replace('_', "-")).into());
        $child.args.push($value.flag_value());
    }};
    (@child secret, $child:ident, $name:ident, $env:literal, $value:ident) => {
        $child.env.push(($env, $value.flag_value()))
    };
}

settings! {
    /// What every command needs to find its cluster.
    Common / CommonLayer, "Cluster" {
        /// Data folder of the cluster: cluster.toml, certificates, the vault's files, logs
        data: PathBuf = "./tanist-data", "DIR", "TANIST_DATA", shown;
    }

    /// Where a cluster on one machine listens, and what is fixed when it is made.
    Cluster / ClusterLayer, "Cluster" {
        /// Redis port of node a; node b has the next one, the vault the one after that
        port: BasePort = "6379", "PORT", "TANIST_PORT", shown;
        /// IP address on which nodes and vault listen; 0.0.0.0 or :: for all of this machine
        bind: IpAddr = "127.0.0.1", "IP", "TANIST_BIND", shown;
        /// Host name or IP address by which clients and other machines reach this one; without it the address of --bind, and loopback
        /// if that is a wildcard (0.0.0.0, ::)
        advertise: Host = "", "HOST", "TANIST_ADVERTISE", shown;
        /// Parts of the key space, a power of two; fixed when the data folder is made
        shards: u16 = "16", "N", "TANIST_SHARDS", shown;
    }

    /// How long a primary may write without hearing from the vault. Vault and nodes must be told the same.
    Lease / LeaseLayer, "Lease" {
        /// Length of a lease: a lost host is replaced after it
        lease_ms: u64 = "2000", "MS", "TANIST_LEASE_MS", shown;
        /// Time between renewals of the lease
        renew_ms: u64 = "250", "MS", "TANIST_RENEW_MS", shown;
    }

    /// A node's settings.
    Node / NodeLayer, "Node" {
        /// When the reply to a write leaves: durable (the vault has it on disk) or relaxed (at once, with a bounded risk)
        durability: Durability = "durable", "LEVEL", "TANIST_DURABILITY", shown;
        /// Longest wait of a command for the vault or for a takeover before it fails with -NOTDURABLE
        durable_wait_ms: u64 = "5000", "MS", "TANIST_DURABLE_WAIT_MS", shown;
        /// At level relaxed: bytes of log that may be acknowledged and not yet durable
        relaxed_bytes_max: ByteSize = "16mb", "BYTES", "TANIST_RELAXED_BYTES_MAX", shown;
        /// At level relaxed: age that an acknowledged, not yet durable write may reach
        relaxed_ms_max: u64 = "1000", "MS", "TANIST_RELAXED_MS_MAX", shown;
        /// Bytes of data above which writes are refused; 0 is no bound
        maxmemory: ByteSize = "0", "BYTES", "TANIST_MAXMEMORY", shown;
        /// Password of the default user; empty asks for none. Prefer the environment or the file to the flag
        requirepass: Password = "", "PASSWORD", "TANIST_REQUIREPASS", secret;
        /// Clients that may be connected at a time
        maxclients: u32 = "10000", "N", "TANIST_MAXCLIENTS", shown;
        /// Longest time between two images, if anything was written
        image_interval_ms: u64 = "60000", "MS", "TANIST_IMAGE_INTERVAL_MS", shown;
        /// Bytes of log after which an image is taken, if they are as many as the data have
        image_log_bytes: ByteSize = "256mb", "BYTES", "TANIST_IMAGE_LOG_BYTES", shown;
        /// Memory that writing may cost while an image is taken before writes wait, in percent of the data
        image_memory_percent: u16 = "20", "PERCENT", "TANIST_IMAGE_MEMORY_PERCENT", shown;
        /// Versions of the data that connections may have pinned at a time (TANIST PIN)
        pinned_versions_max: u16 = "16", "N", "TANIST_PINNED_VERSIONS_MAX", shown;
        /// Age at which a pinned version is ended, and the connection cut off that is still sent a large reply from it
        pinned_seconds_max: u64 = "600", "SECONDS", "TANIST_PINNED_SECONDS_MAX", shown;
        /// Memory that writing may cost while versions are pinned before the oldest of them is ended, in percent of the data
        pinned_memory_percent: u16 = "10", "PERCENT", "TANIST_PINNED_MEMORY_PERCENT", shown;
        /// Who may use DEBUG, which keeps all clients waiting: no, local (connections of this machine) or yes
        enable_debug_command: DebugCommand = "no", "WHO", "TANIST_ENABLE_DEBUG_COMMAND", shown;
        /// What the standby does with commands on data: forward (the primary executes them), read (it reads itself and forwards the rest)
        /// or refuse (-READONLY)
        standby: Standby = "forward", "HOW", "TANIST_STANDBY", shown;
        /// With standby = read: how old the data may be that a standby reads for its clients; beyond it refuses with -MASTERDOWN
        standby_read_ms_max: u64 = "1000", "MS", "TANIST_STANDBY_READ_MS_MAX", shown;
        /// What cluster clients find: off (no cluster) or single (a cluster of one shard; the standby answers -MOVED)
        cluster_mode: ClusterMode = "off", "MODE", "TANIST_CLUSTER_MODE", shown;
        /// Name of the primary for clients that ask a Sentinel; every node answers them
        sentinel_name: String = "mymaster", "NAME", "TANIST_SENTINEL_NAME", shown;
        /// Threads that execute commands; 0 is one for each processor, of which nodes that `up` starts have equal shares
        threads: u16 = "0", "N", "TANIST_THREADS", shown;
    }

    /// What a process says of itself.
    Log / LogLayer, "Log" {
        /// Log filter: error, warn, info, debug, trace, or by module like info,tanist_replication=debug
        log_level: String = "info", "FILTER", "TANIST_LOG_LEVEL", shown;
        /// Form of log lines: text or json
        log_format: LogFormat = "text", "FORM", "TANIST_LOG_FORMAT", shown;
    }
}
