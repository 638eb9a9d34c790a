//! Environment variables that begin with `TANIST_`: each is a setting, or comes from a known other source, or is refused.
//! Otherwise a misspelled variable would silently leave its setting at the default.
//!
//! Docker (links) and Kubernetes (service links) make variables from the names of services. A service named `tanist`, or
//! `tanist-client`, puts `TANIST_SERVICE_HOST`, `TANIST_PORT_6379_TCP_ADDR`, `TANIST_CLIENT_PORT` and their like into every
//! container beside it. Those are ignored, except one that has the name of a setting: `TANIST_PORT=tcp://10.0.0.1:6379`.

use std::ffi::OsString;

use super::ConfigError;

const PREFIX: &str = "TANIST_";

/// What the project's own tests set for themselves; the programs that they start inherit it.
const OF_TESTS: [&str; 17] = [
    "TANIST_CLOCK_SHIFT_MS",
    "TANIST_FAULT",
    "TANIST_FAULT_ROUNDS",
    "TANIST_LONG_SECONDS",
    "TANIST_MODEL_LONGER",
    "TANIST_MUTATIONS",
    "TANIST_NEW_PROGRAM",
    "TANIST_NO_SKIPS",
    "TANIST_OLD_PROGRAM",
    "TANIST_PROGRAM",
    "TANIST_REDIS_SERVER",
    "TANIST_ROUNDS",
    "TANIST_SEED",
    "TANIST_SOAK_SECONDS",
    "TANIST_STOCK_CLIENTS",
    "TANIST_TAKEOVERS_BOOK",
    "TANIST_VALKEY_SERVER",
];

/// How like a known name an unknown one must be to be taken for it, from 0 to 1.
const LIKENESS_MIN: f64 = 0.8;

/// Checks the variables of a process against the names of all settings.
///
/// # Errors
/// A sentence about the first that is none, or that an orchestrator has put in the place of a setting.
pub(crate) fn check(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    settings: &[String],
) -> Result<(), ConfigError> {
    variables.into_iter().try_for_each(|(name, value)| {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        let Some(rest) = name.strip_prefix(PREFIX) else { return Ok(()) };
        if settings.iter().any(|setting| *setting == name) {
            return if is_link(&value) { Err(collision(&name, &value)) } else { Ok(()) };
        }
        let known = OF_TESTS.contains(&&*name) || is_of_a_service(rest, &value);
        if known { Ok(()) } else { Err(unknown(&name, settings)) }
    })
}

/// A value as `TANIST_PORT` has in a container beside a service named `tanist`.
fn is_link(value: &str) -> bool {
    ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

/// Whether `TANIST_` and `rest` is a name that Docker or Kubernetes makes for a service whose name begins with `tanist`.
fn is_of_a_service(rest: &str, value: &str) -> bool {
    // Behind the service's name, which may go on after `tanist`.
    let parts: Vec<&str> = rest.split('_').collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (0..parts.len()).any(|at| match &parts[at..] {
        ["SERVICE", "HOST"] | ["SERVICE", "PORT", ..] => true,
        ["PORT"] => is_link(value),
        ["PORT", number, "TCP" | "UDP" | "SCTP"] => is_number(number),
        ["PORT", number, "TCP" | "UDP" | "SCTP", "ADDR" | "PORT" | "PROTO"] => is_number(number),
        // Docker's links: the name of the container, and its variables.
        ["NAME"] => value.starts_with('/'),
        ["ENV", _, ..] => true,
        _ => false,
    })
}

fn collision(name: &str, value: &str) -> ConfigError {
    ConfigError(format!(
        "{name} is '{value}', which is no setting: Kubernetes or Docker has made it for a service of that name. Switch that off \
         (enableServiceLinks: false in the pod's specification) or give the service another name"
    ))
}

fn unknown(name: &str, settings: &[String]) -> ConfigError {
    let likeness = |setting: &String| strsim::jaro_winkler(&name[PREFIX.len()..], &setting[PREFIX.len()..]);
    let nearest = settings.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let hint = match nearest {
        Some(nearest) if likeness(nearest) >= LIKENESS_MIN => format!("perhaps {nearest} is meant"),
        _ => "`tanist up --help` lists all of them".to_owned(),
    };
    ConfigError(format!("the variable {name} names no setting: {hint}; correct it, or take it out of the environment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(name: &str, value: &str) -> Option<String> {
        let settings = ["TANIST_PORT", "TANIST_LEASE_MS", "TANIST_DATA", "TANIST_REQUIREPASS"].map(str::to_owned);
        check([(name.into(), value.into())], &settings).err().map(|error| error.0)
    }

    /// They were passed over, although the documentation says that unknown names are refused: `TANIST_LEASE_MSS=500` changed
    /// nothing.
    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_known_one() {
        for (name, hint) in [
            ("TANIST_LEASE_MSS", "TANIST_LEASE_MS "),
            ("TANIST_REQUIRE_PASS", "TANIST_REQUIREPASS"),
            ("TANIST_XYZZY", "tanist up --help"),
            ("TANIST_", "tanist up --help"),
        ] {
            let sentence = says(name, "500").unwrap_or_default();
            assert!(sentence.contains(name) && sentence.contains(hint), "{name}: {sentence}");
        }
    }

    #[test]
    fn settings_and_other_programs_variables_are_let_through() {
        for (name, value) in
            [("TANIST_PORT", "7000"), ("TANIST_DATA", ""), ("TANIST_SEED", "17"), ("PATH", "/bin"), ("TANISTRY", "x")]
        {
            assert_eq!(says(name, value), None, "{name}");
        }
    }

    #[test]
    fn what_orchestrators_make_for_services_is_let_through() {
        for (name, value) in [
            ("TANIST_SERVICE_HOST", "10.0.0.1"),
            ("TANIST_SERVICE_PORT", "6379"),
            ("TANIST_SERVICE_PORT_REDIS", "6379"),
            ("TANIST_PORT_6379_TCP", "tcp://10.0.0.1:6379"),
            ("TANIST_PORT_6379_UDP_ADDR", "10.0.0.1"),
            ("TANIST_PORT_6379_TCP_PROTO", "tcp"),
            ("TANIST_CLIENT_SERVICE_HOST", "10.0.0.1"),
            ("TANIST_CLIENT_PORT", "udp://10.0.0.1:6379"),
            ("TANIST_CLIENT_PORT_1_SCTP_PORT", "1"),
            ("TANIST_NAME", "/web/tanist"),
            ("TANIST_ENV_LANG", "C"),
        ] {
            assert_eq!(says(name, value), None, "{name}");
        }
        for (name, value) in [("TANIST_PROT", "7000"), ("TANIST_PORT_6379", "x"), ("TANIST_NAME", "a")] {
            assert!(says(name, value).is_some(), "{name}");
        }
    }

    #[test]
    fn an_orchestrators_word_in_the_place_of_a_setting_is_explained() {
        let sentence = says("TANIST_PORT", "tcp://10.0.0.1:6379").unwrap_or_default();
        assert!(sentence.contains("tcp://10.0.0.1:6379") && sentence.contains("enableServiceLinks"), "{sentence}");
    }
}
