//! What this node knows of the cluster's nodes: what clients that ask a Sentinel or a cluster are told.
//!
//! It is asked anew each time, of the node's role and of what the vault has told of the present epoch. A node that is not the primary
//! and has no word of the vault may know an old epoch only: then nothing is up, and a client asks another node.

use std::sync::Arc;

use tanist_db_core::ids::Lsn;
use tanist_replication::serving::{PrimaryAddress, Role};

use super::replication::last;
use crate::front::HealthSigns;
use crate::front::caller::Caller;

/// The nodes as this one knows them.
pub(super) struct KnownNodes<'c> {
    caller: &'c Caller,
    /// `None` if there is none yet, or this node was replaced.
    pub(super) primary: Option<Arc<PrimaryAddress>>,
    /// Whether that can be believed, and the primary takes commands or will in a moment.
    pub(super) is_up: bool,
}

impl<'c> KnownNodes<'c> {
    pub(super) fn of(caller: &'c Caller) -> KnownNodes<'c> {
        let context = &caller.context;
        let signs = HealthSigns::of(context);
        let own = context.identity.own().cloned();
        let (primary, is_up) = match context.serving.role() {
            Role::Primary => (own, signs.trouble().is_none()),
            // Its clients' commands wait, and are executed here.
            Role::Promoting => (own, true),
            // Here or, if the successor may be asked for them, there.
            Role::HandingOver => (own, context.takes_writes()),
            Role::Fenced => (None, false),
            Role::Joining | Role::Standby => {
                (context.serving.primary(), signs.knows_vault() && signs.vault_silent().is_none())
            }
        };
        let is_up = is_up && primary.is_some();
        KnownNodes { caller, primary, is_up }
    }

    /// The primary, if it is up.
    pub(super) fn primary_up(&self) -> Option<&PrimaryAddress> {
        self.primary.as_deref().filter(|_| self.is_up)
    }

    /// Every node that is not the primary.
    pub(super) fn standbys(&self) -> impl Iterator<Item = &'c PrimaryAddress> + use<'c> {
        let primary = self.primary.as_ref().map(|primary| primary.node.clone());
        let members = self.caller.context.identity.members.iter().map(|member| &**member);
        members.filter(move |member| primary.as_ref() != Some(&member.node))
    }

    /// Every node but this one.
    pub(super) fn others(&self) -> impl Iterator<Item = &'c PrimaryAddress> + use<'c> {
        let identity = &self.caller.context.identity;
        identity.members.iter().map(|member| &**member).filter(|member| member.node != identity.node)
    }

    /// What `node` has told the primary, if this is it.
    fn told(&self, node: &PrimaryAddress) -> Option<Lsn> {
        let standbys = self.caller.context.admin().map(|admin| admin.standbys()).unwrap_or_default();
        standbys.iter().find(|standby| standby.resp == node.resp).map(|standby| standby.applied)
    }

    /// Whether `node` is there, as far as this one knows: only the primary knows it of others than itself and the primary.
    pub(super) fn follows(&self, node: &PrimaryAddress) -> bool {
        let (own, primary) = (&self.caller.context.identity.node, self.primary.as_ref().map(|primary| &primary.node));
        primary != Some(own) || node.node == *own || self.told(node).is_some()
    }

    /// Newest record that `node` has, as far as this one knows; 0 if it does not.
    pub(super) fn offset(&self, node: &PrimaryAddress) -> Lsn {
        let own = self.caller.context.identity.node == node.node;
        if own { last(self.caller) } else { self.told(node).unwrap_or(Lsn::ZERO) }
    }

    pub(super) fn node_id(&self, node: &PrimaryAddress) -> String {
        self.caller.context.identity.node_id(&node.node)
    }
}
