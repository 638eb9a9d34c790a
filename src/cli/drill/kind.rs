//! The kinds of clients: how each finds the primary, and which of them this pair and this machine allow.

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use super::link::ClientLink;
use super::load::Access;
use super::pair::Pair;
use super::stock::{Form, Library};
use crate::cli::status::Asker;
use crate::exit::Failure;

/// Longest wait for a node's settings.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The client library.
    Library,
    /// A connection to the node that is primary when a round begins.
    Plain,
    /// A connection to the other node, which forwards.
    Forwarded,
    /// A connection to either node: to the other one after every error.
    Either,
    /// A client that is no part of Tanist.
    Stock(Library),
}

impl Kind {
    pub(super) const ALL: [Kind; 7] = [
        Kind::Library,
        Kind::Plain,
        Kind::Forwarded,
        Kind::Either,
        Kind::Stock(Library::RedisPy),
        Kind::Stock(Library::Ioredis),
        Kind::Stock(Library::NodeRedis),
    ];

    /// As `--clients` and the report call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Library => "library",
            Kind::Plain => "plain",
            Kind::Forwarded => "forwarded",
            Kind::Either => "either",
            Kind::Stock(library) => library.name(),
        }
    }

    /// Why no client of this kind could have a write executed by this pair, if that is so.
    fn obstacle(self, access: &Access) -> Option<String> {
        let is_cluster = access.form == Form::Cluster;
        match self {
            Kind::Forwarded if is_cluster => Some("with cluster_mode=single a standby redirects instead".into()),
            Kind::Forwarded if !access.forwards => Some("the standby does not forward: standby=refuse".into()),
            Kind::Stock(Library::NodeRedis) if !is_cluster => {
                Some("it follows a pair with cluster_mode=single; a node is no Sentinel to it".into())
            }
            _ => None,
        }
    }

    /// How it finds the primary, in words; `version` is that of the library.
    fn manner(self, access: &Access, version: &str) -> String {
        match self {
            Kind::Library => "Tanist's client library, with both addresses".into(),
            Kind::Plain => "one address, the primary's".into(),
            Kind::Forwarded => "one address, the standby's, which forwards".into(),
            Kind::Either => "both addresses, the other one after an error".into(),
            Kind::Stock(_) => match &access.form {
                Form::Sentinel(name) => format!("{version}, asks both nodes as Sentinels of {name}"),
                Form::Cluster => format!("{version}, finds a Redis Cluster of both nodes"),
            },
        }
    }
}

/// The kinds that `--clients` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kinds(pub(super) Vec<Kind>);

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Kinds, String> {
        let mut kinds = Vec::new();
        for word in text.split(',').map(str::trim) {
            let meant: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| word == "all" || kind.name() == word).collect();
            if meant.is_empty() {
                let names = Kind::ALL.map(Kind::name).join(", ");
                return Err(format!("there are no clients {word:?}: use {names}, or all"));
            }
            for kind in meant {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
        Ok(Kinds(kinds))
    }
}

/// A kind of client that takes part.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TriedKind {
    #[serde(skip)]
    pub(super) kind: Kind,
    #[serde(rename = "kind")]
    pub(super) name: &'static str,
    /// How it finds the primary.
    pub(super) manner: String,
}

/// A kind of client that does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct UntriedKind {
    pub(super) kind: &'static str,
    pub(super) why: String,
}

/// Who takes part in a drill.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Participants {
    pub(super) tried: Vec<TriedKind>,
    pub(super) not_tried: Vec<UntriedKind>,
}

impl Participants {
    /// Those of `kinds` that this pair and this machine allow.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn choose(kinds: &Kinds, access: &Access) -> Result<Participants, Failure> {
        let mut chosen = Participants::default();
        for &kind in &kinds.0 {
            let name = kind.name();
            let version = match (kind.obstacle(access), kind) {
                (Some(why), _) => Err(why),
                (None, Kind::Stock(library)) => {
                    ClientLink::stock(library, access).await.map(|stock| stock.version().to_owned())
                }
                (None, _) => Ok(String::new()),
            };
            match version {
                Ok(version) => chosen.tried.push(TriedKind { kind, name, manner: kind.manner(access, &version) }),
                Err(why) => chosen.not_tried.push(UntriedKind { kind: name, why }),
            }
        }
        if chosen.tried.is_empty() {
            let why: Vec<String> = chosen.not_tried.iter().map(UntriedKind::words).collect();
            return Err(Failure::Config(format!("{}; nothing was done", why.join("; "))));
        }
        Ok(chosen)
    }
}

impl UntriedKind {
    pub(super) fn words(&self) -> String {
        format!("not tried: {} ({})", self.kind, self.why)
    }
}

impl Access {
    /// The same for the nodes of `pair`, whose settings say how stock clients find it.
    ///
    /// # Errors
    /// The primary does not answer.
    pub(super) async fn of(self, pair: &Pair, asker: &Asker) -> Result<Access, Failure> {
        let address = &pair.primary.resp;
        let ask = async |name: &str| -> Result<String, Failure> {
            let cannot = |why: String| {
                Failure::Runtime(format!("node {}, asked for its settings, says: {why}", pair.primary.name))
            };
            let mut connection = asker.connect(address, ANSWER_WAIT).await.map_err(cannot)?;
            let told = redis::cmd("CONFIG").arg("GET").arg(name).query_async::<(String, String)>(&mut connection).await;
            told.map(|(_, value)| value).map_err(|e| cannot(e.to_string()))
        };
        let is_cluster = ask("cluster-enabled").await? == "yes";
        let form = if is_cluster { Form::Cluster } else { Form::Sentinel(ask("sentinel-name").await?) };
        let forwards = ask("standby").await? == "forward";
        Ok(Access { resp: vec![address.clone(), pair.standby.resp.clone()], form, forwards, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_once_each() {
        let names =
            |text: &str| text.parse::<Kinds>().map(|kinds| kinds.0.iter().map(|kind| kind.name()).collect::<Vec<_>>());
        assert_eq!(names("library, redis-py"), Ok(vec!["library", "redis-py"]));
        assert_eq!(names("plain,all").map(|all| all.len()), Ok(Kind::ALL.len()));
        assert_eq!(names("plain,library,plain"), Ok(vec!["plain", "library"]));
        let error = names("libary").expect_err("no such kind");
        assert!(error.contains("libary") && error.contains("node-redis, or all"), "{error}");
        assert!(names("").is_err());
    }
}
