//! Handing over, as planned.

use super::*;

#[test]
fn a_switchover_leaves_a_standby_that_follows_on() {
    let mut script = Script::handed();
    script.pass(Duration::from_millis(4));
    let sent = script.now;
    let effects = script.on(Event::Lease { ask: hand_over(), sent, view: view(6, "b", 3, 1_600) });
    let report = SwitchoverReport { successor: "b".to_owned(), epoch: 6, hold_us: 4_000 };
    assert_eq!(effects, [Effect::CloseAppend, Effect::StartFollow, Effect::SwitchoverEnded(Ok(report))]);
    assert_eq!((script.standing.role, script.standing.epoch), (Role::Standby, Epoch(6)));
    assert_eq!(script.standing.primary.as_ref().unwrap().node, "b");
    script.on(Event::Applied { last: Lsn(121) });
    let effects = script.on(Event::News(view(6, "b", 3, 0)));
    assert_eq!(effects, [Effect::Ask(Ask::Claim { seen: Epoch(6) })], "and can take over again");
}

#[test]
fn the_successor_claims_what_it_was_given_and_learns_the_sealed_end() {
    let mut script = Script::standby();
    let effects = script.on(Event::News(view(5, "a", 7, 1_600)));
    assert_eq!(effects, [Effect::Ask(Ask::Claim { seen: Epoch(4) })]);
    let sent = script.now;
    let effects = script.on(Event::Claimed { epoch: Epoch(5), sealed: Lsn(100), sent });
    assert_eq!(effects, [Effect::OpenAppend(Epoch(5)), Effect::StopFollow, Effect::BeginEpoch(Epoch(5))]);
    script.on(Event::OwnRecordAppended { lsn: Lsn(101) });
    let effects = script.on(Event::Durable { lsn: Lsn(101) });
    assert!(matches!(&effects[..], [Effect::TookOver(takeover)] if takeover.from == "b"), "{effects:?}");
    assert!(!script.standing.took_over, "the predecessor lives, and has replies to send");
}

#[test]
fn the_hand_over_waits_for_quiet_for_the_disk_and_for_the_successor() {
    let mut script = Script::primary();
    script.on(sight(0, 118));
    script.on(Event::SwitchoverAsked { to: Some("b".to_owned()) });
    let sent = script.now;
    let followers = |applied| Event::Followers { sent, nodes: vec![standby("b", applied)] };
    assert_eq!(script.on(followers(118)), [], "what was seen before the hold says nothing about it");
    assert_eq!(script.on(sight(3, 119)), []);
    assert_eq!(script.on(sight(0, 120)), [Effect::Ask(Ask::Followers)]);
    assert_eq!(script.on(Event::Durable { lsn: Lsn(119) }), []);
    assert_eq!(script.on(followers(120)), [Effect::Ask(Ask::Followers)], "applied, but not durable?");
    assert_eq!(script.on(Event::Durable { lsn: Lsn(120) }), [Effect::Ask(hand_over())]);
}

#[test]
fn a_switchover_that_cannot_begin_is_refused_in_words() {
    let refusal = |script: &mut Script| {
        let effects = script.on(Event::SwitchoverAsked { to: None });
        match effects.into_iter().next() {
            Some(Effect::SwitchoverEnded(Err(why))) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refusal(&mut Script::standby()), "this node is standby; ask the primary, b");
    assert_eq!(refusal(&mut Script::new(0)), "there is no primary yet");
    assert_eq!(refusal(&mut Script::drained()), "a switchover is under way already");
    let mut choosing = Script::primary();
    assert_eq!(choosing.on(Event::SwitchoverAsked { to: None }), [Effect::Ask(Ask::Followers)]);
    assert_eq!(refusal(&mut choosing), "a switchover is under way already");
    let mut unsettled = Script::handed();
    unsettled.on(Event::Disconnected);
    unsettled.on(Event::Connected { view: view(5, "a", 7, 1_600), length: LEASE });
    assert_eq!(refusal(&mut unsettled), "a switchover is under way already");
}

#[test]
fn a_switchover_without_a_fit_successor_holds_nobody() {
    let cases = [
        (vec![], "no standby is connected to the vault"),
        (vec![standby("c", 200_000)], "b is not connected to the vault as a standby"),
        (vec![standby("b", 10_000)], "b is 190000 records behind; try again when it has caught up"),
    ];
    for (nodes, sentence) in cases {
        let mut script = Script::primary();
        script.on(sight(1, 200_000));
        let to = (!nodes.is_empty()).then(|| "b".to_owned());
        script.on(Event::SwitchoverAsked { to });
        let sent = script.now;
        assert_eq!(script.on(Event::Followers { sent, nodes: nodes.clone() }), [Effect::Ask(Ask::Followers)]);
        assert!(script.executes());
        script.pass(SWITCHOVER_CHOOSE_WAIT);
        let effects = script.on(sight(1, 200_000));
        assert!(effects.contains(&Effect::SwitchoverEnded(Err(sentence.to_owned()))), "{effects:?}");
        assert_eq!(script.standing.role, Role::Primary);
    }
}

/// Clients would have to wait for a long command, only to hear that the switchover was given up for it.
#[test]
fn a_switchover_waits_for_a_long_command_before_it_holds_anybody() {
    let long = |executing, long| Event::Tick(Sight { executing, long, last: Lsn(120) });
    let asked = || {
        let mut script = Script::primary();
        script.on(long(1, true));
        script.on(Event::SwitchoverAsked { to: None });
        script.on(Event::Followers { sent: script.now, nodes: vec![standby("b", 120)] });
        assert!(script.executes(), "nobody is held");
        assert!(script.standing.long_waits, "but for further long commands");
        script
    };
    let mut refused = asked();
    refused.pass(SWITCHOVER_CHOOSE_WAIT);
    let effects = refused.on(long(1, true));
    let why = effects.iter().find_map(|effect| match effect {
        Effect::SwitchoverEnded(Err(why)) => Some(why.as_str()),
        _ => None,
    });
    assert!(!refused.standing.long_waits);
    assert!(why.is_some_and(|why| why.contains("takes long") && why.contains("try again")), "{effects:?}");
    let mut begun = asked();
    begun.on(long(0, false));
    begun.on(Event::Followers { sent: begun.now, nodes: vec![standby("b", 120)] });
    assert_eq!(begun.standing.role, Role::HandingOver, "it has ended");
    // Nobody could take over: all long commands waited for two seconds, and for nothing.
    let mut alone = Script::primary();
    alone.on(Event::SwitchoverAsked { to: None });
    alone.on(Event::Followers { sent: alone.now, nodes: Vec::new() });
    assert!(!alone.standing.long_waits && alone.executes());
}

#[test]
fn a_switchover_to_who_is_primary_has_happened() {
    let mut script = Script::primary();
    let effects = script.on(Event::SwitchoverAsked { to: Some("a".to_owned()) });
    let Some(Effect::SwitchoverEnded(Ok(report))) = effects.last() else { panic!("{effects:?}") };
    assert_eq!((report.successor.as_str(), report.epoch, script.executes()), ("a", 5, true));
}

#[test]
fn a_hold_that_takes_too_long_is_lifted() {
    let mut script = Script::drained();
    script.pass(SWITCHOVER_HOLD_MAX);
    let effects = script.on(sight(0, 120));
    let aborted = effects.iter().any(|effect| matches!(effect, Effect::SwitchoverEnded(Err(_))));
    assert!(aborted && script.executes(), "{effects:?}");
    assert_eq!(script.standing.role, Role::Primary);
}

#[test]
fn a_refused_hand_over_lifts_the_hold() {
    let refused = Event::Refused { ask: hand_over(), why: "b is not connected".to_owned() };
    let unmoved = Event::Lease { ask: hand_over(), sent: Monotonic(1_000_000), view: view(5, "a", 7, 900) };
    for answer in [refused, unmoved] {
        let mut script = Script::handed();
        let effects = script.on(answer);
        assert!(matches!(&effects[..], [Effect::SwitchoverEnded(Err(_))]), "{effects:?}");
        assert!(script.executes());
    }
}

#[test]
fn after_asking_no_timeout_lifts_the_hold() {
    let mut script = Script::handed();
    script.pass(SWITCHOVER_HOLD_MAX * 3);
    let effects = script.on(sight(0, 120));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::SwitchoverEnded(_))), "{effects:?}");
    assert_eq!((script.standing.role, script.executes()), (Role::HandingOver, false));
}

#[test]
fn who_asked_for_a_switchover_waits_for_the_vault_no_longer_than_so() {
    let mut script = Script::handed();
    script.on(Event::Disconnected);
    let wake = script.machine.wake_at().expect("to tell whoever asked");
    assert_eq!(wake, script.now.after(SWITCHOVER_ANSWER_WAIT));
    script.now = wake;
    let effects = script.on(sight(0, 120));
    assert!(matches!(&effects[..], [Effect::SwitchoverUnsettled(_)]), "{effects:?}");
    assert_eq!((script.standing.role, script.executes()), (Role::HandingOver, false), "nothing is known yet");
    assert_eq!(script.machine.wake_at(), None, "it is said once");
    let effects = script.on(Event::Connected { view: view(6, "b", 3, 1_600), length: LEASE });
    assert!(matches!(effects.last(), Some(Effect::SwitchoverEnded(Ok(_)))), "{effects:?}");
}

#[test]
fn an_unknown_answer_is_settled_by_the_vaults_view() {
    let mut script = Script::handed();
    script.on(Event::Unanswered { ask: hand_over() });
    script.on(Event::Disconnected);
    assert!(!script.executes());
    let effects = script.on(Event::Connected { view: view(6, "b", 3, 1_600), length: LEASE });
    assert!(matches!(effects.last(), Some(Effect::SwitchoverEnded(Ok(_)))), "{effects:?}");
    assert_eq!(script.standing.role, Role::Standby);
}

/// The old request may still arrive: a record made durable behind its position is what rules it out.
#[test]
fn an_unknown_answer_with_an_unmoved_lease_resumes_behind_a_barrier() {
    let mut script = Script::handed();
    script.on(Event::Disconnected);
    let effects = script.on(Event::Connected { view: view(5, "a", 7, 1_600), length: LEASE });
    assert!(effects.contains(&Effect::Barrier), "{effects:?}");
    assert!(!script.executes());
    script.on(Event::OwnRecordAppended { lsn: Lsn(121) });
    script.on(Event::Durable { lsn: Lsn(120) });
    assert!(!script.executes());
    let mut late = Script::handed();
    late.on(Event::Disconnected);
    late.on(Event::Connected { view: view(5, "a", 7, 1_600), length: LEASE });
    assert!(is_rejoin(&late.on(Event::News(view(6, "b", 3, 1_600)))), "it did arrive, before the record");
    script.on(Event::Durable { lsn: Lsn(121) });
    assert!(script.executes());
}

#[test]
fn the_fence_of_its_own_hand_over_does_not_end_the_process() {
    let mut script = Script::handed();
    assert_eq!(script.on(Event::Fenced { epoch: Epoch(6) }), []);
    assert_eq!(script.standing.role, Role::HandingOver);
    let effects = script.on(Event::News(view(6, "b", 3, 1_600)));
    assert!(matches!(effects.last(), Some(Effect::SwitchoverEnded(Ok(_)))), "{effects:?}");

    let mut early = Script::drained();
    early.on(Event::Fenced { epoch: Epoch(6) });
    early.pass(SWITCHOVER_HOLD_MAX);
    early.on(sight(0, 120));
    assert_eq!(early.standing.role, Role::HandingOver, "a hold is not lifted under an epoch that is over");
}

#[test]
fn a_term_lost_during_the_hold_is_followed_on_if_drained_and_ends_the_process_if_not() {
    let mut script = Script::drained();
    let effects = script.on(Event::News(view(6, "c", 1, 1_600)));
    assert!(matches!(effects.last(), Some(Effect::SwitchoverEnded(Err(why))) if why.contains("c has become primary")));
    assert_eq!(script.standing.role, Role::Standby);

    let mut script = Script::primary();
    script.on(Event::SwitchoverAsked { to: None });
    let sent = script.now;
    script.on(Event::Followers { sent, nodes: vec![standby("b", 101)] });
    assert!(is_rejoin(&script.on(Event::News(view(6, "c", 1, 1_600)))));
}
