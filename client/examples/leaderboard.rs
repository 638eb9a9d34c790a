//! A leaderboard: players score points, the top ten are shown live, and at the end the board has exactly the points that were scored.
//!
//!     cargo run --release -- up                                          # in one terminal
//!     cargo run --release -p tanist-client --example leaderboard         # in another
//!
//! While it runs, kill the primary: `kill -9` and the number that `up` has shown. The game goes on with the standby. Takes a folder of
//! certificates, addresses and a number of seconds (20) as arguments. Exits with 1 if a point is missing or counted twice.
//!
//! `ZINCRBY` done twice counts twice, so it must not be repeated blindly. If its outcome is unknown, because the primary died before it
//! replied, the player looks: nobody else changes this score, so it shows whether the points are there, and if not they are scored again.

#![expect(clippy::print_stdout, reason = "a program for people")]

mod arguments;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use tanist_client::commands::*;
use tanist_client::{Client, Error, Outcome};
use tokio::time::{Instant, sleep};

const PLAYERS: [&str; 14] = [
    "Aoife", "Brian", "Ciara", "Donal", "Eithne", "Fergus", "Grainne", "Hugh", "Isolde", "Lorcan", "Maeve", "Niall",
    "Orla", "Tadhg",
];

/// Before a player scores again.
const PAUSE: Duration = Duration::from_millis(2);

/// What a player knows of the score, and how.
#[derive(Default)]
struct Account {
    /// Points that are on the board.
    score: f64,
    /// Commands that were acknowledged.
    acknowledged: u64,
    /// Commands whose outcome was unknown, and those of them that turned out to have been executed.
    unknown: u64,
    executed: u64,
    /// Commands that were certainly not executed, and repeated.
    refused: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("leaderboard: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<bool, String> {
    let (options, time) = arguments::read("leaderboard")?;
    let text = |error: Error| error.to_string();
    let client = Client::connect(options).await.map_err(text)?;
    let board = format!("leaderboard:{}", std::process::id());
    client.del(&board).await.map_err(text)?;
    let start = Instant::now();
    let players: Vec<_> = (0..PLAYERS.len())
        .map(|player| tokio::spawn(play(client.clone(), board.clone(), player, start + time)))
        .collect();
    let shown = tokio::spawn(show(client.clone(), board.clone(), start));
    let mut accounts = BTreeMap::new();
    for (player, task) in PLAYERS.into_iter().zip(players) {
        let account = task.await.map_err(|error| error.to_string())?.map_err(|error| format!("{player}: {error}"))?;
        accounts.insert(player, account);
    }
    shown.abort();
    let stored = client.zrange_with_scores::<String>(&board, ZRange::ranks(0, -1)).await.map_err(text)?;
    client.del(&board).await.map_err(text)?;
    Ok(settle(&accounts, &stored.into_iter().collect()))
}

/// Scores points until the end.
async fn play(client: Client, board: String, player: usize, end: Instant) -> Result<Account, Error> {
    let (name, mut dice) = (PLAYERS[player], player as u32 + 1);
    let mut account = Account::default();
    while Instant::now() < end {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        score(&client, &board, name, f64::from(1 + (dice >> 16) % 9), &mut account).await?;
        sleep(PAUSE).await;
    }
    Ok(account)
}

/// Scores some points, exactly once.
async fn score(client: &Client, board: &str, player: &str, points: f64, account: &mut Account) -> Result<(), Error> {
    let scored = account.score + points;
    loop {
        match client.zincrby(board, points, player).await {
            Ok(sum) => {
                account.acknowledged += 1;
                account.score = scored;
                // Otherwise something was lost, or counted twice: the end shows it.
                return if sum == scored {
                    Ok(())
                } else {
                    Err(Error::Reply(format!("{sum} points and not {scored}")))
                };
            }
            Err(error) => match error.outcome() {
                Outcome::Unknown => account.unknown += 1,
                Outcome::NotExecuted => {
                    account.refused += 1;
                    continue;
                }
                _ => return Err(error),
            },
        }
        if look(client, board, player).await? == scored {
            account.executed += 1;
            account.score = scored;
            return Ok(());
        }
    }
}

/// The score on the board. A read is repeated by the library; without a primary for long it fails, and is asked for again here.
async fn look(client: &Client, board: &str, player: &str) -> Result<f64, Error> {
    loop {
        match client.zscore(board, player).await {
            Ok(score) => return Ok(score.unwrap_or(0.0)),
            Err(error) if matches!(error.outcome(), Outcome::NotExecuted | Outcome::Unknown) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Shows the top ten, again and again: in a terminal at the same place.
async fn show(client: Client, board: String, start: Instant) {
    let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
    loop {
        sleep(Duration::from_millis(500)).await;
        let Ok(top) = client.zrange_with_scores::<String>(&board, ZRange::ranks(0, 9).reversed()).await else {
            continue;
        };
        let primary = client.primary().map_or_else(
            || "no primary".to_owned(),
            |primary| format!("primary {} in epoch {}", primary.address, primary.epoch),
        );
        println!("{clear}{:5.1} s   {primary}", start.elapsed().as_secs_f64());
        let highest = top.first().map_or(1.0, |(_, score)| *score);
        for (rank, (player, score)) in (1..).zip(&top) {
            println!("{rank:4}. {player:8} {score:7}  {}", "#".repeat((40.0 * score / highest) as usize));
        }
    }
}

/// Shows the accounts, and returns whether the board has the same.
fn settle(accounts: &BTreeMap<&str, Account>, stored: &BTreeMap<String, f64>) -> bool {
    let sum = |what: fn(&Account) -> u64| accounts.values().map(what).sum::<u64>();
    let (unknown, executed) = (sum(|account| account.unknown), sum(|account| account.executed));
    println!("\n{} commands acknowledged, {} refused and repeated", sum(|a| a.acknowledged), sum(|a| a.refused));
    println!("{unknown} with an unknown outcome: {executed} had been executed, {} were repeated", unknown - executed);
    println!("scored {} points", accounts.values().map(|account| account.score).sum::<f64>());
    println!("stored {} points", stored.values().sum::<f64>());
    let wrong: Vec<_> =
        accounts.iter().filter(|(player, a)| stored.get(**player).copied().unwrap_or(0.0) != a.score).collect();
    for (player, account) in &wrong {
        println!("WRONG: {player} has scored {} points, and {:?} are stored", account.score, stored.get(**player));
    }
    if wrong.is_empty() {
        println!("every point is there, once");
    }
    wrong.is_empty()
}
