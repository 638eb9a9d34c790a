//! The role driver's connection to the vault: a lost one is replaced by a fresh one, and what an old one still brings is
//! dropped by its number.

use actix::{ActorFutureExt, AsyncContext, Context, StreamHandler, WrapFuture};
use futures_util::stream;
use tanist_db_core::clock::Monotonic;
use tokio::sync::mpsc;

use super::RoleDriver;
use crate::EVENT;
use crate::limits::NEWS_QUEUE_MAX;
use crate::role::{Ask, Event};
use crate::transport::rpc::{ControlClient, RpcError, Welcome};
use crate::wire::message::{Answer, HealthView, Request};

impl RoleDriver {
    pub(super) fn connect(&mut self, ctx: &mut Context<Self>) {
        self.generation += 1;
        let generation = self.generation;
        let (dialer, hello) = (self.dialer.clone(), self.shared.hello());
        let (tell, told) = mpsc::channel(NEWS_QUEUE_MAX);
        let news = stream::unfold(told, move |mut told| async move {
            told.recv().await.map(|answer| (News { generation, answer }, told))
        });
        ctx.add_stream(news);
        let reach = async move {
            dialer
                .until_reached(&hello, false, || {
                    let tell = tell.clone();
                    // A full queue loses news; the role driver's own calls then tell it the same, a little later.
                    move |answer| drop(tell.try_send(answer))
                })
                .await
        };
        ctx.spawn(reach.into_actor(self).map(move |reached, role_driver, ctx| {
            if let (Ok((client, welcome)), true) = (reached, role_driver.generation == generation) {
                role_driver.connected(client, welcome, ctx);
            }
        }));
    }

    fn connected(&mut self, client: ControlClient, welcome: Welcome, ctx: &mut Context<Self>) {
        if !self.lines.quiet {
            tracing::info!(target: EVENT, "connected to the vault (its log is durable to record {})", welcome.durable);
        }
        // It says so next if anything is wrong.
        self.shared.figures.lock().vault_health = HealthView::default();
        let (generation, closed) = (self.generation, client.clone());
        // Drops its clone when it ends, as it must: the last clone closes the connection.
        ctx.spawn(async move { closed.closed().await }.into_actor(self).map(move |why, role_driver, ctx| {
            role_driver.lose_link(generation, &why, ctx);
        }));
        self.link = Some(client);
        self.note_vault(true);
        self.reports.reset();
        self.on(Event::Connected { view: welcome.view, length: welcome.lease }, ctx);
        self.report(ctx);
    }

    pub(super) fn note_vault(&self, up: bool) {
        self.shared.figures.lock().vault_is(up, self.now());
    }

    pub(super) fn lose_link(&mut self, generation: u64, why: &str, ctx: &mut Context<Self>) {
        if generation != self.generation {
            return;
        }
        let Some(client) = self.link.take() else { return };
        self.note_vault(false);
        let times = self.lines.link_lost.happened(self.now(), why);
        self.lines.quiet = times.is_none();
        if let Some(times) = times {
            tracing::warn!(target: EVENT, "connection to the vault lost: {why}{times}");
        }
        client.close("a fresh connection follows");
        self.connect(ctx);
        self.on(Event::Disconnected, ctx);
    }

    /// Calls the vault. A silent one is taken for lost.
    pub(super) fn call(
        &mut self,
        request: Request,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, Monotonic, Option<Answer>, &mut Context<Self>) + 'static,
    ) {
        let (generation, sent) = (self.generation, self.now());
        let Some(client) = self.link.clone() else { return then(self, sent, None, ctx) };
        let wait = self.machine.times().silence();
        let call = async move { client.call(request, wait).await };
        ctx.spawn(call.into_actor(self).map(move |result, role_driver, ctx| {
            if generation != role_driver.generation {
                return;
            }
            if matches!(result, Err(RpcError::Late(_))) {
                role_driver.lose_link(generation, "it is silent", ctx);
            }
            then(role_driver, sent, result.ok(), ctx);
        }));
    }

    pub(super) fn ask(&mut self, ask: Ask, ctx: &mut Context<Self>) {
        let request = ask.request(|| self.progress());
        self.call(request, ctx, move |role_driver, sent, answer, ctx| {
            let event = Event::answered(ask, sent, answer);
            let unsettled = event.needs_fresh_connection();
            role_driver.on(event, ctx);
            if unsettled {
                role_driver.lose_link(role_driver.generation, "a hand-over was not answered", ctx);
            }
        });
    }
}

/// What the vault said unasked on the connection `generation`.
struct News {
    generation: u64,
    answer: Answer,
}

impl StreamHandler<News> for RoleDriver {
    fn handle(&mut self, news: News, ctx: &mut Context<Self>) {
        if news.generation != self.generation {
            return;
        }
        match news.answer {
            Answer::Lease(view) => self.on(Event::News(view), ctx),
            Answer::Health(health) => self.shared.figures.lock().vault_health = health,
            _ => {}
        }
    }

    /// A connection's news end with it; that is not the end of the role driver.
    fn finished(&mut self, _: &mut Context<Self>) {}
}
