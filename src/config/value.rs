//! Types of settings: each has the same syntax in a flag, in the environment and in a file.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use tanist_replication::transport::address::HostPort;

/// A value of a setting that can be written back as a flag, for a child process.
pub(super) trait FlagValue {
    /// The words that parse to this value again.
    fn flag_value(&self) -> OsString;
}

macro_rules! flag_value_by_display {
    ($($type:ty),+) => {$(
        impl FlagValue for $type {
            fn flag_value(&self) -> OsString {
                self.to_string().into()
            }
        }
    )+};
}

flag_value_by_display!(
    u16,
    u32,
    u64,
    String,
    IpAddr,
    BasePort,
    ByteSize,
    ClusterMode,
    DebugCommand,
    Durability,
    Host,
    LogFormat,
    Standby
);

impl FlagValue for PathBuf {
    fn flag_value(&self) -> OsString {
        self.clone().into()
    }
}

impl FlagValue for Password {
    fn flag_value(&self) -> OsString {
        self.0.clone().into()
    }
}

/// A number of bytes. Written as a number or with one of Redis's units: `k`, `m`, `g` (powers of 1000), `kb`, `mb`, `gb`
/// (powers of 1024).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no number of bytes; write it like 1048576, 64mb or 2gb");
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit: u64 = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" => 1000,
            "kb" => 1 << 10,
            "m" => 1_000_000,
            "mb" => 1 << 20,
            "g" => 1_000_000_000,
            "gb" => 1 << 30,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(unit).map(ByteSize).ok_or_else(wrong)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")];
        match units.iter().find(|(unit, _)| self.0 > 0 && self.0.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrWords;
        impl Visitor<'_> for NumberOrWords {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes like 1048576 or \"64mb\"")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<ByteSize, E> {
                u64::try_from(number).map(ByteSize).map_err(|_| E::custom("a number of bytes cannot be negative"))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(NumberOrWords)
    }
}

/// The first of the ports of a cluster on one machine: node a, node b and the vault take three in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasePort(u16);

impl BasePort {
    const MAX: u16 = u16::MAX - 2;

    /// The port of node a.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }

    fn new(number: i64) -> Result<BasePort, String> {
        u16::try_from(number).ok().filter(|port| (1..=Self::MAX).contains(port)).map(BasePort).ok_or_else(|| {
            format!(
                "port is {number}, but node b and the vault use the two ports after it: choose one from 1 to {}",
                Self::MAX
            )
        })
    }
}

impl TryFrom<u16> for BasePort {
    type Error = String;

    fn try_from(port: u16) -> Result<Self, String> {
        BasePort::new(port.into())
    }
}

impl FromStr for BasePort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().map_err(|_| format!("'{text}' is no port: choose one from 1 to {}", Self::MAX))?;
        BasePort::new(number)
    }
}

impl fmt::Display for BasePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for BasePort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BasePort::new(i64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A host by which others dial this machine: a name or an IP address; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// `None` if no host is given.
    #[must_use]
    pub fn get(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let host = text.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(text);
        if !host.is_empty() {
            // Whatever the port will be.
            HostPort::new(host, 1)?;
        }
        Ok(Host(host.to_owned()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A word that authenticates; never printed.
#[derive(Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl FromStr for Password {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Password(text.to_owned()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Password(none)" } else { "Password(set)" })
    }
}

macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $variant_doc:literal])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $variant_doc])* $variant,)+
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($name::$variant),)+
                    _ => Err(format!("'{text}' is none of: {}", [$($word),+].join(", "))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$variant => $word),+ })
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

words! {
    /// When the reply to a write may leave the node.
    Durability {
        /// When the vault has the write on disk.
        Durable = "durable",
        /// At once; what may be lost is bounded by bytes and by time.
        Relaxed = "relaxed",
    }
}

words! {
    /// Who may use the command DEBUG.
    DebugCommand {
        /// Nobody.
        No = "no",
        /// Connections of this machine.
        Local = "local",
        /// Everybody.
        Yes = "yes",
    }
}

words! {
    /// What a standby does with commands on data.
    Standby {
        /// It has the primary execute them.
        Forward = "forward",
        /// It refuses them with the primary's address, as a read-only replica of Redis refuses writes.
        Refuse = "refuse",
        /// It reads itself what is fresh enough, as a replica of Redis does, and has the primary execute everything else.
        Read = "read",
    }
}

words! {
    /// Whether clients find a cluster.
    ClusterMode {
        /// A server alone, as Redis with cluster support disabled.
        Off = "off",
        /// A cluster of one shard, whose replicas are the standbys.
        Single = "single",
    }
}

words! {
    /// How log lines are written.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_redis_units() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("1k", 1000),
            ("1kb", 1024),
            ("3MB", 3 << 20),
            ("2g", 2_000_000_000),
            ("2gb", 2 << 30),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "mb", "-1", "1.5gb", "1tb", "99999999999gb"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_are_written_as_they_are_read() {
        for bytes in [0, 1, 1023, 1024, 1 << 20, 3 << 30, (1 << 30) + 1, u64::MAX] {
            assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }
    }

    #[test]
    fn a_port_leaves_room_for_two_more() {
        assert_eq!("65533".parse().map(BasePort::get), Ok(65533));
        for text in ["0", "65534", "70000", "99999999", "-1", "port", ""] {
            let refused = text.parse::<BasePort>().expect_err(text);
            assert!(refused.contains("from 1 to 65533"), "{refused}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_that_can_be_dialled() {
        for (text, host) in
            [("db.example", Some("db.example")), ("[::1]", Some("::1")), ("10.0.0.1", Some("10.0.0.1")), ("", None)]
        {
            assert_eq!(text.parse::<Host>().expect(text).get(), host);
        }
        for text in ["db:6379", "0.0.0.0", "::", "a b", "http://db"] {
            text.parse::<Host>().expect_err(text);
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(format!("{:?}", Password("hunter2".into())), "Password(set)");
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_right_ones() {
        assert_eq!("fast".parse::<Durability>(), Err("'fast' is none of: durable, relaxed".into()));
    }
}
