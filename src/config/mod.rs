//! Settings: one declaration ([`settings`]) for flags, environment and file.
//!
//! ```text
//! flags        tanist up --lease-ms 3000
//! environment  TANIST_LEASE_MS=3000
//! file         tanist up --config tanist.toml      [lease]
//!                                                  lease_ms = 3000
//! default      2000
//! ```
//!
//! A higher line overrides a lower one. An unknown key, a value that does not parse and settings that contradict each other are
//! refused with an error that says what to do; nothing starts with a guess. The same is true of an environment variable that
//! starts with `TANIST_` and names no setting, except those that orchestrators create from the name of a service
//! ([`environment`]).

mod check;
pub(crate) mod environment;
pub mod limits;
mod settings;
mod value;

use std::path::Path;

use tanist_replication::text_file;

pub(crate) use check::{check_password, check_shards, check_waits};
pub(crate) use settings::ForChild;
pub use settings::{Cluster, ClusterLayer, Common, CommonLayer, Lease, LeaseLayer, Log, LogLayer, Node, NodeLayer};
pub use value::{BasePort, ByteSize, ClusterMode, DebugCommand, Durability, Host, LogFormat, Password, Standby};

/// A sentence that says which setting is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// What one source says of every section. The tables of a file.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layer {
    /// What every command needs.
    pub common: CommonLayer,
    /// Where a cluster on one machine listens.
    pub cluster: ClusterLayer,
    /// The lease's.
    pub lease: LeaseLayer,
    /// The nodes'.
    pub node: NodeLayer,
    /// The log's.
    pub log: LogLayer,
}

/// Every setting with its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// What every command needs.
    pub common: Common,
    /// Where a cluster on one machine listens.
    pub cluster: Cluster,
    /// The lease's.
    pub lease: Lease,
    /// The nodes'.
    pub node: Node,
    /// The log's.
    pub log: Log,
}

impl Layer {
    /// The layer of settings from a TOML file.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or has an unknown key or a wrong value; the sentence names file and line.
    pub fn from_file(path: &Path) -> Result<Layer, ConfigError> {
        let shown = path.display();
        let text = text_file::read(path, limits::FILE_BYTES_MAX)
            .map_err(|e| ConfigError(format!("cannot read the configuration file {shown}: {e}")))?;
        Self::from_toml(&text).map_err(|e| ConfigError(format!("configuration file {shown}, {}", e.0)))
    }

    /// The layer that such a file's text says.
    ///
    /// # Errors
    /// As [`Layer::from_file`]; the sentence names the line.
    pub fn from_toml(text: &str) -> Result<Layer, ConfigError> {
        toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            ConfigError(format!("line {line}: {}", e.message().replace('\n', " ")))
        })
    }

    /// This layer's words where it has any, else those of the layer below.
    #[must_use]
    pub fn over(self, below: Layer) -> Layer {
        Layer {
            common: self.common.over(below.common),
            cluster: self.cluster.over(below.cluster),
            lease: self.lease.over(below.lease),
            node: self.node.over(below.node),
            log: self.log.over(below.log),
        }
    }

    /// Fills in defaults and checks the relations between settings.
    ///
    /// # Errors
    /// An error message about the first relation that is violated.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let config = self.filled();
        check::check(&config)?;
        Ok(config)
    }

    /// The same for a vault, which is not told the nodes' settings: they are not compared with its own.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_for_vault(self) -> Result<Config, ConfigError> {
        let config = self.filled();
        check::check_common(&config)?;
        Ok(config)
    }

    fn filled(self) -> Config {
        Config {
            common: self.common.resolve(),
            cluster: self.cluster.resolve(),
            lease: self.lease.resolve(),
            node: self.node.resolve(),
            log: self.log.resolve(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(toml: &str) -> String {
        match Layer::from_toml(toml).and_then(Layer::resolve) {
            Ok(config) => panic!("accepted: {config:?}"),
            Err(e) => e.0,
        }
    }

    #[test]
    fn defaults_agree_with_each_other() {
        let config = Layer::default().resolve().expect("defaults are checked like anything else");
        assert_eq!(config.node.durability, Durability::Durable);
        assert_eq!((config.lease.lease_ms, config.lease.renew_ms), (2000, 250));
        assert_eq!(config, Config::default());
    }

    #[test]
    fn an_upper_layer_wins_setting_by_setting() {
        let file = Layer::from_toml("[lease]\nlease_ms = 3000\n[node]\nmaxmemory = \"1gb\"\nmaxclients = 5")
            .expect("good file");
        let mut flags = Layer::default();
        flags.node.maxclients = Some(7);
        let config = flags.over(file).resolve().expect("no clash");
        assert_eq!(config.lease.lease_ms, 3000);
        assert_eq!(config.node.maxmemory, ByteSize(1 << 30));
        assert_eq!(config.node.maxclients, 7);
    }

    #[test]
    fn unknown_keys_and_wrong_values_are_refused_with_their_line() {
        let sentence = refusal("[node]\nmax_memory = 1");
        assert!(sentence.starts_with("line 2: unknown field `max_memory`"), "{sentence}");
        let sentence = refusal("[nodes]\n");
        assert!(sentence.contains("unknown field `nodes`"), "{sentence}");
        let sentence = refusal("[node]\n\ndurability = \"fast\"");
        assert_eq!(sentence, "line 3: 'fast' is none of: durable, relaxed");
        let sentence = refusal("[node]\nmaxmemory = -1");
        assert!(sentence.contains("cannot be negative"), "{sentence}");
        let sentence = refusal("[cluster]\nport = 70000");
        assert!(sentence.starts_with("line 2: "), "{sentence}");
    }

    #[test]
    fn contradictions_are_refused_with_the_way_out() {
        for (toml, way_out) in [
            ("[lease]\nrenew_ms = 600", "at most 500"),
            ("[lease]\nlease_ms = 100", "from 200"),
            ("[lease]\nlease_ms = 6000", "durable_wait_ms above lease_ms"),
            ("[cluster]\nport = 65534", "from 1 to 65533"),
            ("[cluster]\nshards = 12", "power of two"),
            ("[node]\nrelaxed_bytes_max = 10", "1mb or more"),
            ("[node]\nrelaxed_ms_max = 5001", "from 1 to durable_wait_ms"),
            ("[node]\nmaxclients = 0", "number of clients"),
            ("[node]\nimage_interval_ms = 0", "from 1"),
            ("[node]\nimage_log_bytes = 10", "1mb or more"),
            ("[node]\nimage_memory_percent = 0", "from 1 to 100"),
            ("[log]\nlog_level = \"=loud=\"", "log_level"),
        ] {
            let sentence = refusal(toml);
            assert!(sentence.contains(way_out), "{toml}: {sentence}");
        }
    }

    /// A vault that was started with a long lease compared it with a default of the nodes, which `up` had not told it, and refused.
    #[test]
    fn a_vault_takes_a_lease_that_only_nodes_must_outwait() {
        let layer = Layer::from_toml("[lease]\nlease_ms = 6000").expect("good");
        assert_eq!(layer.clone().resolve_for_vault().expect("no node's matter").lease.lease_ms, 6000);
        layer.resolve().expect_err("a node has to wait for longer");
        let layer = Layer::from_toml("[lease]\nlease_ms = 100").expect("good");
        layer.resolve_for_vault().expect_err("too short for anybody");
    }

    /// Each was accepted, and the process died of it later or forever: the engine has its own limit of shards, the system of
    /// threads, of paths and of what a child process can be told.
    #[test]
    fn what_no_process_could_start_with_is_refused() {
        for (toml, way_out) in [
            ("[cluster]\nshards = 512".to_owned(), "from 1 to 256"),
            ("[node]\nthreads = 513".to_owned(), "to 512"),
            ("[lease]\nlease_ms = 43200001\n[node]\ndurable_wait_ms = 86400000".to_owned(), "to 43200000"),
            (format!("[node]\nrequirepass = '{}'", "x".repeat(513)), "at most 512 bytes"),
            ("[node]\nrequirepass = \"a\\u0000b\"".to_owned(), "NUL"),
            ("[node]\nsentinel_name = ''".to_owned(), "1 to 128"),
            ("[node]\nsentinel_name = 'my master'".to_owned(), "without blanks"),
            ("[node]\nsentinel_name = \"a\\u0000b\"".to_owned(), "without blanks"),
            (format!("[node]\nsentinel_name = '{}'", "x".repeat(129)), "1 to 128"),
            ("[log]\nlog_level = \"info\\u0000\"".to_owned(), "NUL"),
            (format!("[log]\nlog_level = 'info,a={}'", "x".repeat(4096)), "at most 4096"),
            ("[common]\ndata = \"a\\u0000b\"".to_owned(), "without NUL"),
            (format!("[common]\ndata = '/{}'", "x/".repeat(2000)), "3584 bytes"),
            ("[common]\ndata = ''".to_owned(), "1 to"),
        ] {
            let sentence = refusal(&toml);
            assert!(sentence.contains(way_out), "{toml}: {sentence}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        for (path, why) in [("/nowhere/tanist.toml", "No such file"), ("/dev/zero", "device"), ("/", "folder")] {
            let error = Layer::from_file(Path::new(path)).expect_err("no such file");
            assert!(error.0.contains(path) && error.0.contains(why), "{error}");
        }
    }

    #[test]
    fn a_child_gets_flags_and_secrets_apart() {
        let layer = Layer::from_toml("[node]\nrequirepass = \"hunter2\"\nmaxmemory = \"64mb\"").expect("good");
        let mut child = ForChild::default();
        layer.node.for_child(&mut child);
        assert_eq!(child.args, ["--maxmemory", "64mb"]);
        assert_eq!(child.env, [("TANIST_REQUIREPASS", "hunter2".into())]);
    }
}
