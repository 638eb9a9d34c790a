//! Serves the Redis protocol from one engine without a vault, every record durable at once: what profilers look at.
//!
//! `cargo run --release --example front_alone -- [port, default 7777] [threads, default 1]`

#![expect(clippy::print_stdout, reason = "a program for people")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use actix_rt::{Arbiter, ArbiterHandle};
use tanist::config;
use tanist::front::{Identity, NodeContext, Settings, tcp};
use tanist_db_core::clock::{Clock, Monotonic, SystemClock};
use tanist_db_core::engine::{Engine, EngineOptions};
use tanist_db_core::ids::{Epoch, Lsn};
use tanist_replication::serving::{Role, Serving, Standing};

/// What the binary uses.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().expect("a number"));
    let (port, threads) = (arguments.next().unwrap_or(7777), arguments.next().unwrap_or(1));
    let context = node(port, usize::from(threads));
    actix_rt::System::new().block_on(async move {
        let arbiters: Vec<Arbiter> = (0..threads).map(|_| Arbiter::new()).collect();
        let handles: Vec<ArbiterHandle> = arbiters.iter().map(Arbiter::handle).collect();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let _acceptors = tcp::start(&context, None, address, &handles).expect("the port is free");
        println!("serving {address} on {threads} threads until Ctrl-C");
        tokio::signal::ctrl_c().await.expect("signals can be waited for");
    });
}

fn node(port: u16, threads: usize) -> Arc<NodeContext> {
    let clock = Arc::new(SystemClock::new());
    let serving = Serving::new();
    let identity = Identity {
        node: "a".into(),
        cluster: "0".repeat(32),
        incarnation: 0,
        members: Vec::new(),
        bind: "127.0.0.1".into(),
        port,
        folder: "none".into(),
        threads,
        started: clock.unix(),
    };
    let settings = Settings::new(&config::Node::default(), &config::Lease::default());
    let context = NodeContext::new(Arc::clone(&serving), clock.clone(), settings, identity);
    let engine = Arc::new(Engine::new(EngineOptions::default()));
    context.install_engine(Arc::clone(&engine));
    let vault = (Arc::clone(&serving), Arc::downgrade(&engine));
    let ship = move || {
        let Some(engine) = vault.1.upgrade() else { return };
        while let Some(batch) = engine.redo().take(1 << 20) {
            vault.0.advance_durable(Lsn(batch.first_lsn + batch.ends.len() as u64 - 1));
        }
    };
    serving.on_demand(Box::new(ship.clone()));
    engine.redo().on_append(Box::new(ship));
    engine.begin_epoch(Epoch(1)).expect("a newer epoch");
    let for_ever = Monotonic(u64::MAX);
    let standing = Standing {
        role: Role::Primary,
        epoch: Epoch(1),
        lease_until: for_ever,
        execute_until: for_ever,
        long_waits: false,
        took_over: false,
        primary: None,
    };
    serving.publish(&standing, clock.monotonic());
    context
}
