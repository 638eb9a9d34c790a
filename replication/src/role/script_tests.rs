//! Golden scripts: two role machines and the vault's lease authority, the real ones, with a script in place of the network. A
//! script lists events, one per line, and below each event, indented, everything that it causes. The test replays the events and
//! compares all lines. `docs/protocols/` quotes the scripts, so the documentation shows what the code does.
//!
//! | event | means |
//! |---|---|
//! | `at 250 ms` | the clock stands there |
//! | `a wakes [, N executing]` | the machine's timer; N batches of commands execute |
//! | `vault wakes` | the vault looks at its clock |
//! | `vault hears a`, `a hears vault` | the oldest message of this way arrives |
//! | `vault never hears a`, `a never hears vault` | it is lost |
//! | `vault hears the obituary of a` | a's supervisor has reaped the process |
//! | `vault hears an old hand-over of a at N` | a request that was under way on a lost connection arrives after all |
//! | `a executes a write` | a command is executed and its record appended |
//! | `a reports` | a tells the vault how far it has applied |
//! | `a is asked to switch over` | somebody typed `tanist switchover` |
//! | `a is cut off`, `a connects` | the connection to the vault |
//! | `a dies` | none of its events happen any more |
//!
//! Lines that begin with `#` and empty lines are for the reader.

mod stage;

use std::fs;
use std::path::PathBuf;

use self::stage::Stage;

/// The script as it turns out when its events are played.
fn play(script: &str) -> String {
    let mut stage = Stage::new();
    let mut lines = Vec::new();
    for line in script.lines().filter(|line| !line.starts_with("    ")) {
        lines.push(line.to_owned());
        if !line.is_empty() && !line.starts_with('#') {
            stage.play(line);
            lines.extend(stage.take_lines().into_iter().map(|said| format!("    {said}")));
        }
    }
    lines.join("\n") + "\n"
}

/// Name and text of every script.
fn scripts() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/role/scripts");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("the scripts' folder").map(|entry| entry.expect("a script").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.display().to_string(), fs::read_to_string(path).expect("text"))).collect()
}

#[test]
fn every_script_goes_as_it_is_written() {
    for (name, script) in scripts() {
        let played = play(&script);
        for (number, (written, happened)) in script.lines().zip(played.lines()).enumerate() {
            assert_eq!(written, happened, "{name}, line {}; as it was played:\n{played}", number + 1);
        }
        assert_eq!(script, played, "{name} ends otherwise; as it was played:\n{played}");
    }
}

#[test]
fn a_line_that_is_not_so_is_found() {
    let (_, script) =
        scripts().into_iter().find(|(name, _)| name.ends_with("takeover-obituary.txt")).expect("it is there");
    let wrong = script.replace("append under epoch 2", "append under epoch 3");
    assert_ne!(wrong, script, "the script says it");
    assert_eq!(play(&wrong), script);
}
