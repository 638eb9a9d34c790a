//! A node's health: whether it does its role's work (serve, follow), and if not, why; one sentence for `TANIST HEALTH`, `TANIST
//! STATUS` and `INFO`, and what a client or a balancer sees of it: `ROLE`, `HELLO`, `INFO replication`, `PING`. The table of all states is in
//! docs/balancers.md.

use std::sync::Arc;
use std::time::Duration;

use tanist_db_core::clock::Monotonic;
use tanist_replication::VaultLink;
use tanist_replication::serving::{Permit, PrimaryAddress, Role};

use super::{NodeContext, redirect};
use crate::config::Standby;

/// What a node's health follows from.
#[derive(Clone, Debug)]
pub(crate) struct HealthSigns {
    role: Role,
    permit: Permit,
    /// `None` before the node takes part.
    vault: Option<VaultLink>,
    /// A write has timed out waiting for the vault, and the vault has confirmed nothing since.
    unconfirmed: bool,
    /// A node is known as the primary: this one too, if the vault has named it and it has yet to take over.
    knows_primary: bool,
    /// As a standby it forwards its clients' commands.
    forwards: bool,
    /// As a standby it reads for them, so it is called a replica: it is chosen for that.
    reads: bool,
    /// How old its data may be, where it may not read them any more.
    too_old: Option<Duration>,
    /// As a standby it names the primary to them instead, as a node of a cluster.
    is_cluster: bool,
    /// Why it cannot, the primary being out of reach or in trouble; `None` before the first attempt.
    unreached: Option<String>,
    now: Monotonic,
}

impl HealthSigns {
    pub(crate) fn of(context: &NodeContext) -> HealthSigns {
        let now = context.clock.monotonic();
        let standby = context.settings.standby();
        let forwards = standby != Standby::Refuse;
        HealthSigns {
            role: context.serving.role(),
            permit: context.serving.may_execute(now),
            vault: context.admin().and_then(|admin| admin.vault()),
            unconfirmed: context.stats.is_unconfirmed(context.serving.durable()),
            knows_primary: context.serving.primary().is_some(),
            forwards,
            reads: standby == Standby::Read,
            too_old: context.too_old(now),
            is_cluster: context.settings.is_cluster(),
            unreached: context.primary_reach.trouble(context.serving.epoch()).filter(|_| forwards),
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

    /// Whether a standby follows: its primary is known, what the vault has reaches it, and what it forwards reaches the primary.
    pub(crate) fn is_linked(&self) -> bool {
        self.role == Role::Standby && self.knows_primary && self.trouble().is_none()
    }

    /// Whether a client is served here, writes included, by this node or by the primary to which it forwards: so it is called a master.
    /// A change of roles that goes on is none of the client's concern: its commands wait for a moment.
    pub(crate) fn takes_writes(&self) -> bool {
        match self.role {
            Role::Primary => self.trouble().is_none(),
            Role::Standby => self.forwards && !self.reads && !self.is_cluster && self.is_linked(),
            Role::Promoting | Role::HandingOver => self.vault_silent().is_none(),
            Role::Joining | Role::Fenced => false,
        }
    }

    /// What keeps the node from what its role asks of it; `None` if nothing does.
    pub(crate) fn trouble(&self) -> Option<String> {
        let silent =
            self.vault_silent().map(|time| format!("no answer from the vault for {:.1} s", time.as_secs_f64()));
        match self.role {
            Role::Joining => silent.map(|silent| format!("cannot load: {silent}")),
            Role::Standby => match silent {
                Some(silent) => Some(format!("does not follow: {silent}")),
                None => match (&self.unreached, self.too_old) {
                    (Some(why), _) => Some(format!("cannot forward: {why}")),
                    (None, Some(age)) => Some(format!("cannot read: its data may be {:.1} s old", age.as_secs_f64())),
                    (None, None) => None,
                },
            },
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

    /// The error that `PING` gets from a node which cannot do its role's work: Redis's own, of a server that loads, of a replica that has
    /// lost its master, and of a master that cannot write to its disk.
    fn ping_error(&self) -> Option<String> {
        let trouble = self.trouble();
        match self.role {
            Role::Joining => Some(redirect::LOADING.to_owned()),
            Role::Standby if self.is_linked() => None,
            Role::Standby => {
                Some(format!("MASTERDOWN this standby {}", trouble.unwrap_or_else(|| "knows no primary".into())))
            }
            Role::Promoting | Role::HandingOver if self.takes_writes() => None,
            _ => trouble.map(|trouble| format!("MISCONF this node {trouble}")),
        }
    }
}

/// The error for `PING` at `now`; `None`: it is answered as ever.
pub(super) fn ping_error(context: &NodeContext, now: Monotonic) -> Option<String> {
    let serving = &context.serving;
    // Nothing else has to be asked of the node that serves.
    let serves = serving.may_execute(now) == Permit::Yes && !context.stats.is_unconfirmed(serving.durable());
    if serves { None } else { HealthSigns::of(context).ping_error() }
}

/// The primary, if another node is known as such.
pub(super) fn primary_elsewhere(context: &NodeContext) -> Option<Arc<PrimaryAddress>> {
    context.serving.primary().filter(|primary| primary.node != context.identity.node)
}

/// What `TANIST HEALTH` answers: `Ok` from the one node that serves, else an error that begins with a code.
pub(super) fn health(context: &NodeContext) -> Result<(), String> {
    let signs = HealthSigns::of(context);
    let node = &context.identity.node;
    let role = signs.role.word();
    match (signs.role, signs.trouble()) {
        (Role::Primary, None) => Ok(()),
        (_, Some(trouble)) => Err(format!("NOTSERVING node {node}: {role}, {trouble}")),
        (_, None) => Err(match primary_elsewhere(context) {
            Some(primary) => {
                format!("NOTSERVING node {node}: {role}, the primary is {} at {}", primary.node, primary.resp)
            }
            None => format!("NOTSERVING node {node}: {role}, no primary is known"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use Permit::{Hold, NotPrimary, Stopped, Yes};

    use super::*;

    fn signs(role: Role, permit: Permit, up: bool) -> HealthSigns {
        HealthSigns {
            role,
            permit,
            vault: Some(VaultLink { up, since: Monotonic(1_000_000) }),
            unconfirmed: false,
            knows_primary: true,
            forwards: true,
            reads: false,
            too_old: None,
            is_cluster: false,
            unreached: None,
            now: Monotonic(4_200_000),
        }
    }

    #[test]
    fn each_role_has_its_troubles_and_their_causes() {
        for (signs, trouble) in [
            (signs(Role::Primary, Yes, true), None),
            (signs(Role::Primary, Yes, false), None),
            (signs(Role::Primary, Hold, false), Some("cannot serve: no answer from the vault for 3.2 s")),
            (signs(Role::Primary, Hold, true), Some("cannot serve: its lease has run out")),
            (signs(Role::Standby, NotPrimary, true), None),
            (signs(Role::Standby, NotPrimary, false), Some("does not follow: no answer from the vault for 3.2 s")),
            (
                HealthSigns { unreached: Some("nobody is there".into()), ..signs(Role::Standby, NotPrimary, true) },
                Some("cannot forward: nobody is there"),
            ),
            (
                HealthSigns { too_old: Some(Duration::from_millis(1_500)), ..signs(Role::Standby, NotPrimary, true) },
                Some("cannot read: its data may be 1.5 s old"),
            ),
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

    /// A forwarding standby without its vault, and a primary without its lease, called themselves masters and said PONG.
    #[test]
    fn what_cannot_serve_does_not_look_healthy() {
        const LOADING: &str = "LOADING";
        const DOWN: &str = "MASTERDOWN";
        const MISCONF: &str = "MISCONF";
        let standby = signs(Role::Standby, NotPrimary, true);
        let refuses = |signs: &HealthSigns| HealthSigns { forwards: false, ..signs.clone() };
        for (signs, takes_writes, ping) in [
            (signs(Role::Joining, NotPrimary, true), false, Some(LOADING)),
            (signs(Role::Joining, NotPrimary, false), false, Some(LOADING)),
            (standby.clone(), true, None),
            (refuses(&standby), false, None),
            (HealthSigns { reads: true, ..standby.clone() }, false, None),
            (HealthSigns { reads: true, too_old: Some(Duration::from_secs(2)), ..standby.clone() }, false, Some(DOWN)),
            (signs(Role::Standby, NotPrimary, false), false, Some(DOWN)),
            (refuses(&signs(Role::Standby, NotPrimary, false)), false, Some(DOWN)),
            (HealthSigns { knows_primary: false, ..standby.clone() }, false, Some(DOWN)),
            (HealthSigns { knows_primary: false, ..refuses(&standby) }, false, Some(DOWN)),
            (HealthSigns { unreached: Some("nobody is there".into()), ..standby }, false, Some(DOWN)),
            (signs(Role::Promoting, Hold, true), true, None),
            (signs(Role::Promoting, Hold, false), false, Some(MISCONF)),
            (signs(Role::Primary, Yes, true), true, None),
            (signs(Role::Primary, Yes, false), true, None),
            (signs(Role::Primary, Hold, true), false, Some(MISCONF)),
            (signs(Role::Primary, Hold, false), false, Some(MISCONF)),
            (HealthSigns { unconfirmed: true, ..signs(Role::Primary, Yes, true) }, false, Some(MISCONF)),
            (signs(Role::HandingOver, Hold, true), true, None),
            (signs(Role::HandingOver, Hold, false), false, Some(MISCONF)),
            (signs(Role::Fenced, Stopped, true), false, Some(MISCONF)),
        ] {
            let error = signs.ping_error();
            let code = error.as_deref().and_then(|error| error.split(' ').next());
            assert_eq!((signs.takes_writes(), code), (takes_writes, ping), "{signs:?}");
        }
    }
}
