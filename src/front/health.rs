//! A node's health: whether it does its role's work (serve, follow), and if not, why; one sentence for `TANIST HEALTH`, `TANIST
//! STATUS` and `INFO`.

use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_replication::VaultLink;
use tanist_replication::serving::{Permit, Role};

use super::NodeContext;

/// What a node's health follows from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HealthSigns {
    role: Role,
    permit: Permit,
    /// `None` before the node takes part.
    vault: Option<VaultLink>,
    /// A write has timed out waiting for the vault, and the vault has confirmed nothing since.
    unconfirmed: bool,
    now: Monotonic,
}

impl HealthSigns {
    pub(crate) fn of(context: &NodeContext) -> HealthSigns {
        let now = context.clock.monotonic();
        HealthSigns {
            role: context.serving.role(),
            permit: context.serving.may_execute(now),
            vault: context.admin().and_then(|admin| admin.vault()),
            unconfirmed: context.stats.is_unconfirmed(context.serving.durable()),
            now,
        }
    }

    /// Commands execute here now.
    pub(crate) fn executes(&self) -> bool {
        self.permit == Permit::Yes
    }

    /// The node takes part, so it knows whether there is word of the vault.
    pub(crate) fn knows_vault(&self) -> bool {
        self.vault.is_some()
    }

    /// How long there has been no word of the vault; `None` if there is.
    pub(crate) fn vault_silent(&self) -> Option<Duration> {
        self.vault.filter(|vault| !vault.up).map(|vault| self.now.since(vault.since))
    }

    /// What is acknowledged from now on is confirmed by the vault, as far as this node knows.
    pub(crate) fn confirms(&self) -> bool {
        !self.unconfirmed && self.vault_silent().is_none()
    }

    /// What keeps the node from what its role asks of it; `None` if nothing does.
    pub(crate) fn trouble(&self) -> Option<String> {
        let silent =
            self.vault_silent().map(|time| format!("no answer from the vault for {:.1} s", time.as_secs_f64()));
        match self.role {
            Role::Joining => silent.map(|silent| format!("cannot load: {silent}")),
            Role::Standby => silent.map(|silent| format!("does not follow: {silent}")),
            Role::Promoting => Some("cannot serve yet: it is taking over".into()),
            Role::Primary if !self.executes() => {
                Some(format!("cannot serve: {}", silent.unwrap_or_else(|| "its lease has run out".into())))
            }
            Role::Primary if self.unconfirmed => {
                Some("cannot write: a write timed out, and the vault has confirmed nothing since".into())
            }
            Role::Primary => None,
            Role::HandingOver => Some("cannot serve: it hands over, for a switchover or because it stops".into()),
            Role::Fenced => Some("cannot serve: it was replaced, and starts again".into()),
        }
    }
}

/// What `TANIST HEALTH` answers: `Ok` from the one node that serves, else an error that begins with a code.
pub(super) fn health(context: &NodeContext) -> Result<(), String> {
    let signs = HealthSigns::of(context);
    let node = &context.identity.node;
    let role = signs.role.word();
    match (signs.role, signs.trouble()) {
        (Role::Primary, None) => Ok(()),
        (_, Some(trouble)) => Err(format!("NOTSERVING node {node}: {role}, {trouble}")),
        (_, None) => Err(match context.serving.primary().filter(|primary| primary.node != *node) {
            Some(primary) => {
                format!("NOTSERVING node {node}: {role}, the primary is {} at {}", primary.node, primary.resp)
            }
            None => format!("NOTSERVING node {node}: {role}, no primary is known"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(role: Role, permit: Permit, up: bool) -> HealthSigns {
        let vault = Some(VaultLink { up, since: Monotonic(1_000_000) });
        HealthSigns { role, permit, vault, unconfirmed: false, now: Monotonic(4_200_000) }
    }

    #[test]
    fn each_role_has_its_troubles_and_their_causes() {
        use Permit::{Hold, NotPrimary, Yes};
        for (signs, trouble) in [
            (signs(Role::Primary, Yes, true), None),
            (signs(Role::Primary, Yes, false), None),
            (signs(Role::Primary, Hold, false), Some("cannot serve: no answer from the vault for 3.2 s")),
            (signs(Role::Primary, Hold, true), Some("cannot serve: its lease has run out")),
            (signs(Role::Standby, NotPrimary, true), None),
            (signs(Role::Standby, NotPrimary, false), Some("does not follow: no answer from the vault for 3.2 s")),
            (
                signs(Role::HandingOver, Hold, true),
                Some("cannot serve: it hands over, for a switchover or because it stops"),
            ),
            (
                HealthSigns { vault: None, ..signs(Role::Primary, Hold, true) },
                Some("cannot serve: its lease has run out"),
            ),
            (
                HealthSigns { unconfirmed: true, ..signs(Role::Primary, Yes, true) },
                Some("cannot write: a write timed out, and the vault has confirmed nothing since"),
            ),
        ] {
            assert_eq!(signs.trouble().as_deref(), trouble, "{signs:?}");
        }
    }
}
