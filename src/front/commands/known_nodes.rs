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

    /// Newest record that `node` has, as far as this one knows: a standby has told its primary, and knows of itself.
    pub(super) fn offset(&self, node: &PrimaryAddress) -> Option<Lsn> {
        let context = &self.caller.context;
        if node.node == context.identity.node {
            return Some(last(self.caller));
        }
        let standbys = context.admin().map(|admin| admin.standbys()).unwrap_or_default();
        standbys.iter().find(|known| known.resp == node.resp).map(|known| known.applied)
    }

    pub(super) fn node_id(&self, node: &PrimaryAddress) -> String {
        self.caller.context.identity.node_id(&node.node)
    }
}
