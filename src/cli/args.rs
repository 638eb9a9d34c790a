//! Flags that several commands share, and their evaluation.

use std::ffi::OsString;
use std::path::PathBuf;

use tanist_replication::transport::address::HostPort;
use tanist_replication::transport::principal::NodeName;

use crate::cluster_file::{ClusterFile, DataFolder};
use crate::config::{CommonLayer, Config, ConfigError, Layer, LogLayer, Password};
use crate::exit::Failure;
use crate::shutdown::Shutdown;
use crate::telemetry::{self, EVENT, Events};

/// Where the settings' file is.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct FileArgs {
    /// TOML file with settings; its tables are [common], [cluster], [lease], [node] and [log]
    #[arg(long, env = "TANIST_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl FileArgs {
    /// The flags over the file, if there is one.
    pub(super) fn under(&self, flags: Layer) -> Result<Layer, Failure> {
        match &self.config {
            Some(path) => Ok(flags.over(Layer::from_file(path)?)),
            None => Ok(flags),
        }
    }
}

/// Flags of a command that looks at a cluster from outside.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ToolArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    common: CommonLayer,
}

impl ToolArgs {
    /// The settings that a tool is told.
    pub(super) fn config(self, flags: Layer) -> Result<Config, Failure> {
        Ok(self.file.under(Layer { common: self.common, ..flags })?.resolve()?)
    }

    /// The data folder that says which cluster is meant.
    pub(super) fn folder(self) -> Result<DataFolder, Failure> {
        Ok(DataFolder::new(&self.config(Layer::default())?.common.data))
    }
}

/// Flags of a command that talks to nodes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct NodesArgs {
    /// Redis addresses of the cluster's nodes (host:port); without any, the data folder says where they are
    #[arg(value_name = "ADDRESS")]
    pub(super) addresses: Vec<HostPort>,
    /// Password of the default user; prefer TANIST_REQUIREPASS or the file to the flag
    #[arg(long, env = "TANIST_REQUIREPASS", hide_env_values = true, value_name = "PASSWORD")]
    pub(super) requirepass: Option<Password>,
    #[command(flatten)]
    pub(super) tool: ToolArgs,
}

/// Flags of a process that `tanist up` starts, and that a person may start as well.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ServerArgs {
    #[command(flatten)]
    pub(super) file: FileArgs,
    #[command(flatten)]
    pub(super) common: CommonLayer,
    #[command(flatten)]
    pub(super) log: LogLayer,
    /// Started by another tanist: the end of stdin asks to stop
    #[arg(long, hide = true)]
    pub(super) child: bool,
    /// Events go to stdout as JSON
    #[arg(long, hide = true)]
    pub(super) events_json: bool,
}

/// Flag that tells a process that its parent is a tanist.
pub(super) const CHILD: &str = "--child";
/// Flag that tells a process that `tanist up` reads its events.
pub(super) const EVENTS_JSON: &str = "--events-json";

/// A server process with its settings and its folder.
#[derive(Debug)]
pub(super) struct Server {
    /// What it was told, for a child that shall be told the same.
    pub(super) layer: Layer,
    pub(super) config: Config,
    pub(super) folder: DataFolder,
    pub(super) cluster: ClusterFile,
}

impl ServerArgs {
    /// Reads the settings and the cluster's file, and starts to log as `who`. `resolve` checks what concerns this process.
    pub(super) fn server(
        self,
        flags: Layer,
        who: &str,
        resolve: fn(Layer) -> Result<Config, ConfigError>,
    ) -> Result<Server, Failure> {
        let flags = Layer { common: self.common, log: self.log, ..flags };
        let layer = self.file.under(flags)?;
        let config = resolve(layer.clone())?;
        let events = if self.events_json { Events::Json } else { Events::Text };
        telemetry::start(&config.log, who, events)
            .map_err(|e| Failure::Runtime(format!("cannot start the thread that writes the log: {e}")))?;
        let folder = DataFolder::new(&config.common.data);
        let cluster = folder.cluster()?;
        for sentence in folder.close().sentences() {
            tracing::warn!(target: EVENT, "{sentence}");
        }
        Ok(Server { layer, config, folder, cluster })
    }
}

/// How the client library reaches the cluster's nodes.
pub(super) fn client_options(folder: &DataFolder, cluster: &ClusterFile) -> Result<tanist_client::Options, Failure> {
    let nodes = cluster.nodes.values().map(|node| node.quic.advertised.to_string().parse()).collect::<Result<_, _>>();
    let nodes = nodes.map_err(|e: tanist_client::Error| Failure::Config(e.to_string()))?;
    Ok(tanist_client::Options::new(nodes, folder.tls()))
}

/// How the process is asked to stop; call within the runtime.
pub(super) fn shutdown(child: bool) -> Result<Shutdown, Failure> {
    Shutdown::from_signals(child).map_err(|e| Failure::Runtime(format!("cannot watch for signals: {e}")))
}

/// A node's name, as it may stand in certificates, file names and tables.
pub(super) fn node_name(text: &str) -> Result<String, String> {
    match NodeName::new(text) {
        Some(name) => Ok(name.as_str().to_owned()),
        None => Err("a node's name has 1 to 32 small letters, digits and inner hyphens".into()),
    }
}

/// This program, for starting children.
pub(super) fn own_program() -> Result<OsString, Failure> {
    std::env::current_exe()
        .map(Into::into)
        .map_err(|e| Failure::Runtime(format!("cannot find the path of this program: {e}")))
}
