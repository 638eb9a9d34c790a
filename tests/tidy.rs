//! Checks rules of this source tree: dependencies between packages and layers, where unsafe code is allowed, how long a file may
//! be, that every file is compiled, and that what the documentation names exists. Each rule states its reason; exceptions are
//! listed with theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of production code above which a file is hard to hold in one's head.
const FILE_LINES_MAX: usize = 500;

/// Files that may be longer, each with the reason why a cut would not help.
const LONG_FILES: [(&str, &str); 1] = [(
    "replication/src/vault/disk/sim.rs",
    "one disk that forgets, tears and fails, for tests: its faults share its state",
)];

/// Lines above which a function does more than one thing.
const FUNCTION_LINES_MAX: usize = 70;

/// Names that several types of a package may have, each with the reason.
const SHARED_TYPE_NAMES: [(&str, &str); 4] = [
    ("Options", "what one benchmark takes from the command line"),
    ("Input", "what one model of a history is asked"),
    ("Output", "what one model of a history tells"),
    ("Verdict", "what a check finds wrong"),
];

/// A folder and its layers from the lowest on; those of one line may know each other. Knowledge flows down only.
const LAYERS: [(&str, &[&[&str]]); 4] = [
    (
        "db-core/src/",
        &[
            &["arena"],
            &["structure"],
            &["value"],
            &["keyspace", "rdb"],
            &["effect", "types"],
            &["image", "redo"],
            // What a command is, and how one is executed; not which ones there are.
            &["engine"],
            &["command"],
        ],
    ),
    (
        "replication/src/",
        &[
            &["limits", "repeats", "text_file"],
            &["wire"],
            &["transport"],
            &["lease", "serving", "vault"],
            &["role"],
            &["stream"],
            // What is decided, which the simulator drives as well.
            &["node"],
            // What carries it out.
            &["actors", "supervisor"],
        ],
    ),
    (
        "replication/src/vault/",
        &[
            &["layout", "room"],
            &["disk", "envelope"],
            &["error"],
            &["catalog", "lock"],
            &["images", "log"],
            &["beginning", "lease"],
            &["storage"],
        ],
    ),
    (
        "src/",
        &[
            &["admin", "clock", "rank", "resp", "shutdown"],
            &["config"],
            &["exit", "files", "telemetry"],
            &["cluster_file"],
            &["front"],
            &["node"],
            &["cli"],
        ],
    ),
];

/// Files that may contain unsafe code: one small file a subsystem.
const UNSAFE_FILES: [&str; 1] = ["db-core/src/arena/raw.rs"];

/// What a package may not depend on, and why.
const FORBIDDEN_DEPENDENCIES: [(&str, &[&str], &str); 3] = [
    (
        "db-core",
        &["tanist-replication", "tanist-client", "tanist", "actix", "actix-rt", "tokio", "quinn", "rustls", "sled"],
        "the engine knows no network, no role and no other node",
    ),
    ("replication", &["tanist-client", "tanist", "redis"], "replication serves the fronts, not the other way round"),
    (
        "client",
        &["tanist-db-core", "tanist-replication", "tanist"],
        "a user of the client library does not compile the engine",
    ),
];

/// Modules of db-core that look into keys, values and commands: replication moves bytes and positions only.
const FORBIDDEN_TO_REPLICATION: [&str; 6] = ["arena", "command", "keyspace", "session", "structure", "value"];

/// Words that promise something which is not there yet, or that silence a test.
const FORBIDDEN_WORDS: [(&str, &str); 4] = [
    ("#[ignore", "a test that does not run tells nothing: make it pass or remove it"),
    ("todo!(", "unfinished code does not land"),
    ("unimplemented!(", "unfinished code does not land"),
    ("dbg!(", "it prints to a user's terminal"),
];

#[test]
fn packages_depend_in_one_direction() {
    for (package, forbidden, why) in FORBIDDEN_DEPENDENCIES {
        let manifest: toml::Table = read(&root().join(package).join("Cargo.toml")).parse().expect("Cargo reads it too");
        let dependencies = manifest["dependencies"].as_table().expect("a package here has dependencies");
        for name in forbidden {
            assert!(!dependencies.contains_key(*name), "{package} depends on {name}, but {why}");
        }
    }
}

#[test]
fn replication_never_looks_into_a_value() {
    let mut wrong = Vec::new();
    for (path, source) in sources() {
        // A test of whole nodes plays the client.
        if !path.starts_with("replication/src") || path.contains("/tests") {
            continue;
        }
        for module in modules_named(&source.code, "tanist_db_core") {
            if FORBIDDEN_TO_REPLICATION.contains(&module.as_str()) {
                wrong.push(format!("{path} names tanist_db_core::{module}"));
            }
        }
    }
    none(&wrong, "replication moves bytes and positions, it never parses a command or looks into a value");
}

#[test]
fn unsafe_code_stands_in_the_listed_files_and_argues_its_case() {
    let mut found = BTreeSet::new();
    let mut wrong = Vec::new();
    for (path, source) in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, code) in source.code.lines().enumerate() {
            if !has_word(code, "unsafe") {
                continue;
            }
            found.insert(path.clone());
            let before = &lines[number.saturating_sub(12)..=number];
            let declared_only = has_word(code, "fn") && before.iter().any(|line| line.contains("# Safety"));
            if !declared_only && !before.iter().any(|line| line.contains("SAFETY:")) {
                wrong.push(format!("{path}:{}: unsafe without a SAFETY comment", number + 1));
            }
        }
    }
    none(&wrong, "each unsafe block states the fact it relies on");
    let listed: BTreeSet<String> = UNSAFE_FILES.iter().map(|path| (*path).to_owned()).collect();
    assert_eq!(found, listed, "files with unsafe code (left) must be the listed ones (right)");
}

#[test]
fn files_are_short_enough_to_be_read() {
    let mut wrong = Vec::new();
    for (path, source) in sources() {
        if is_of_tests(&path) {
            continue;
        }
        let lines = source.production_lines();
        let listed = LONG_FILES.iter().any(|(long, _)| *long == path);
        if lines > FILE_LINES_MAX && !listed {
            wrong.push(format!("{path} has {lines} lines of production code"));
        }
        if lines <= FILE_LINES_MAX && listed {
            wrong.push(format!("{path} is short enough now: take it off the list"));
        }
    }
    none(&wrong, "split a file that does more than one thing");
}

#[test]
fn functions_are_short_enough_to_be_seen_at_once() {
    let mut wrong = Vec::new();
    for (path, source) in sources().into_iter().filter(|(path, _)| !is_of_tests(path)) {
        let lines: Vec<&str> = source.code.lines().collect();
        for (first, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            if !is_function(code) || code.ends_with([';', '}']) {
                continue;
            }
            let end = format!("{}}}", &line[..line.len() - code.len()]);
            let length = lines[first..].iter().position(|line| **line == end).map_or(0, |last| last + 1);
            if length > FUNCTION_LINES_MAX {
                wrong.push(format!("{path}:{}: {length} lines", first + 1));
            }
        }
    }
    none(&wrong, "split a function that does more than one thing");
}

#[test]
fn types_of_a_package_have_names_of_their_own() {
    let mut defined: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (path, source) in sources().into_iter().filter(|(path, _)| !is_of_tests(path.trim_start_matches("tests/"))) {
        let Some((package, _)) = path.split_once("src/") else { continue };
        for (number, line) in source.production().lines().enumerate() {
            if let Some(name) = type_defined(line) {
                let place = format!("{path}:{}", number + 1);
                defined.entry((package.to_owned(), name)).or_default().push(place);
            }
        }
    }
    let listed = |name: &str| SHARED_TYPE_NAMES.iter().any(|(shared, _)| *shared == name);
    let shared = defined.iter().filter(|((_, name), places)| places.len() > 1 && !listed(name));
    let wrong: Vec<_> = shared.map(|((_, name), places)| format!("{name}: {}", places.join(", "))).collect();
    none(&wrong, "a type's name says what it is without its path: two things of a package have two names");
}

/// The name of the type that an unindented line defines.
fn type_defined(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| ["struct", "enum", "union", "trait", "type"].contains(word))?;
    let modifier = |word: &&str| {
        word.starts_with("pub") || ["crate)", "super)", "unsafe"].contains(word) || word.starts_with("in")
    };
    let outermost = !line.starts_with(char::is_whitespace) && words[..at].iter().all(modifier);
    outermost.then(|| first_word(words.get(at + 1).unwrap_or(&"")))
}

#[test]
fn layers_know_only_what_is_below_them() {
    let mut wrong = Vec::new();
    for (path, source) in sources().into_iter().filter(|(path, _)| !is_of_tests(path)) {
        for (folder, layers) in LAYERS {
            let Some(within) = path.strip_prefix(folder) else { continue };
            let above = above(within, layers);
            let named = siblings_named(source.production(), folder, within);
            let named = named.iter().filter(|named| above.contains(&named.as_str()));
            wrong.extend(named.map(|named| format!("{path} names {named}")));
        }
    }
    none(&wrong, "a layer knows nothing of those above it");
}

/// The modules in the layers above that of the file `within` a folder; none if it is in no layer.
fn above<'a>(within: &str, layers: &[&[&'a str]]) -> Vec<&'a str> {
    let module = within.split(['/', '.']).next().unwrap_or_default();
    let layer = layers.iter().position(|layer| layer.contains(&module));
    layer.map_or(Vec::new(), |layer| layers[layer + 1..].concat())
}

/// Modules beside its own that the file `within` a folder names, from the crate's root or from above itself.
fn siblings_named(code: &str, folder: &str, within: &str) -> Vec<String> {
    let (_, modules) = folder.split_once("src/").expect("a layer is within a package");
    let from_root = format!("crate::{}", modules.replace('/', "::"));
    let mut named = modules_named(code, from_root.trim_end_matches("::"));
    // In `x.rs` and `x/mod.rs`, what is above is what stands beside `x`.
    if !within.trim_end_matches("/mod.rs").contains('/') {
        named.extend(modules_named(code, "super"));
    }
    named
}

#[test]
fn what_only_tests_need_stands_in_modules_of_their_own() {
    let mut wrong = Vec::new();
    for (path, source) in sources() {
        let lines: Vec<&str> = source.code.lines().map(str::trim).collect();
        for (number, pair) in lines.windows(2).enumerate() {
            let for_tests = pair[0].starts_with("#[cfg(test)]") || pair[0].starts_with("#[cfg(any(test,");
            if for_tests && !["mod", "use"].iter().any(|word| has_word(pair[1], word)) {
                wrong.push(format!("{path}:{}: {}", number + 2, pair[1]));
            }
        }
    }
    none(&wrong, "production code is read without what only tests need: move it to `mod tests`, or to a `testing.rs`");
}

#[test]
fn text_is_clean() {
    let mut wrong = Vec::new();
    for path in tree() {
        let named = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if !["rs", "md", "toml"].contains(&extension) && !["justfile", "run"].contains(&named) {
            continue;
        }
        let text = read(&path);
        let shown = relative(&path);
        for (number, line) in text.lines().enumerate() {
            if line.contains('\t') {
                wrong.push(format!("{shown}:{}: a tab", number + 1));
            }
            if line.ends_with(' ') {
                wrong.push(format!("{shown}:{}: a trailing space", number + 1));
            }
        }
        if !text.ends_with('\n') || text.ends_with("\n\n") {
            wrong.push(format!("{shown} does not end in one newline"));
        }
    }
    none(&wrong, "spaces only, and none at the end of a line");
}

#[test]
fn nothing_unfinished_lands() {
    let mut wrong = Vec::new();
    for (path, source) in sources() {
        for (word, why) in FORBIDDEN_WORDS {
            if source.code.contains(word) {
                wrong.push(format!("{path} contains {word}): {why}"));
            }
        }
    }
    none(&wrong, "see above");
}

#[test]
fn every_file_is_compiled() {
    let mut reached = BTreeSet::new();
    let all: BTreeMap<String, Source> = sources().into_iter().collect();
    let mut open: Vec<String> = all.keys().filter(|path| is_crate_root(path)).cloned().collect();
    while let Some(path) = open.pop() {
        if !reached.insert(path.clone()) {
            continue;
        }
        let source = &all[&path];
        for module in source.declared_modules() {
            let candidates = module_files(&path, &module);
            let file = candidates.iter().find(|candidate| all.contains_key(*candidate));
            open.push(file.unwrap_or_else(|| panic!("{path} declares mod {module}, no file found")).clone());
        }
    }
    let dead: Vec<String> = all.keys().filter(|path| !reached.contains(*path)).cloned().collect();
    none(&dead, "no `mod` line leads to these files: they are not compiled");
}

#[test]
fn what_the_book_names_exists() {
    let mut wrong = Vec::new();
    for page in tree().iter().filter(|path| path.extension().is_some_and(|e| e == "md")) {
        let text = read(page);
        for named in text.split('`').skip(1).step_by(2) {
            let (path, item) = named.split_once(".rs::").map_or((named, None), |(path, item)| (path, Some(item)));
            let path = if item.is_some() { format!("{path}.rs") } else { path.to_owned() };
            if !path.ends_with(".rs") || !path.contains('/') || path.contains(['{', '*', ' ']) {
                continue;
            }
            let file = root().join(&path);
            if !file.is_file() {
                wrong.push(format!("{} names `{named}`, which does not exist", relative(page)));
            } else if let Some(item) = item {
                let name = item.rsplit("::").next().unwrap_or(item);
                if !has_item(&Source::new(read(&file)).code, name) {
                    wrong.push(format!("{} names `{named}`, but {path} has no {name}", relative(page)));
                }
            }
        }
    }
    none(&wrong, "a book that names what is not there misleads");
}

#[test]
fn the_book_quotes_scripts_as_they_are() {
    let mut quoted = BTreeSet::new();
    let mut wrong = Vec::new();
    for page in tree().iter().filter(|path| path.extension().is_some_and(|e| e == "md")) {
        let text = read(page);
        for part in text.split("<!-- script: ").skip(1) {
            let (path, rest) = part.split_once(" -->\n```text\n").expect("a script's path, then a block of text");
            let block = rest.split("```").next().unwrap_or_default();
            if block != read(&root().join(path)) {
                wrong.push(format!("{} quotes {path} otherwise than it is", relative(page)));
            }
            quoted.insert(path.to_owned());
        }
    }
    let scripts = tree().into_iter().map(|path| relative(&path)).filter(|path| path.contains("/scripts/"));
    wrong.extend(scripts.filter(|path| !quoted.contains(path)).map(|path| format!("no page quotes {path}")));
    none(&wrong, "what the book shows is what the tests play: copy the file into the page");
    assert!(!quoted.is_empty(), "the book quotes scripts");
}

#[test]
fn each_claim_has_its_modules_and_its_tests() {
    let text = read(&root().join("docs/claims.md"));
    let mut shown = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let Some(claim) = cells.first().and_then(|first| first.parse::<u32>().ok()) else { continue };
        let [_, _, modules, tests] = cells[..] else { panic!("claim {claim}: number, words, modules, tests") };
        assert!(modules.contains(".rs"), "claim {claim} names no module");
        assert!(tests.contains(".rs::"), "claim {claim} names no test");
        for named in tests.split('`').skip(1).step_by(2) {
            let (path, name) =
                named.split_once(".rs::").unwrap_or_else(|| panic!("claim {claim}: `{named}` is no test"));
            let code = Source::new(read(&root().join(format!("{path}.rs")))).code;
            let name = name.rsplit("::").next().unwrap_or(name);
            assert!(is_test(&code, name), "claim {claim}: `{named}` is no #[test]");
        }
        shown.insert(claim);
    }
    assert_eq!(shown, (1..=12).collect(), "claims that docs/claims.md shows");
}

// Reading the tree.

/// A source file: as written, and with comments, strings and characters blanked out.
struct Source {
    text: String,
    code: String,
}

impl Source {
    fn new(text: String) -> Self {
        let code = blank_out(&text);
        Self { text, code }
    }

    /// What stands before the tests.
    fn production(&self) -> &str {
        let module = self.code.match_indices("#[cfg(test)]\nmod ").find(|(at, _)| {
            let declared = self.code[*at..].lines().nth(1);
            declared.is_some_and(|line| line.ends_with('{'))
        });
        &self.code[..module.map_or(self.code.len(), |(at, _)| at)]
    }

    fn production_lines(&self) -> usize {
        self.production().lines().count()
    }

    /// Names after `mod` where a file follows.
    fn declared_modules(&self) -> Vec<String> {
        let declared = self.code.lines().filter_map(|line| {
            let words = line.trim().strip_suffix(';')?;
            words
                .split_whitespace()
                .collect::<Vec<_>>()
                .windows(2)
                .find(|pair| pair[0] == "mod")
                .map(|p| p[1].to_owned())
        });
        declared.collect()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every file of the tree that is not made by a build or a run.
fn tree() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of this tree") {
            let path = entry.expect("a folder of this tree").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let made = ["target", ".git", "tanist-data"].contains(&name);
            match (made, path.is_dir()) {
                (true, _) => {}
                (false, true) => folders.push(path),
                (false, false) => files.push(path),
            }
        }
    }
    files.sort();
    files
}

/// Every Rust file with its path in the tree.
fn sources() -> Vec<(String, Source)> {
    let rust = tree().into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs"));
    rust.map(|path| (relative(&path), Source::new(read(&path)))).collect()
}

fn none(wrong: &[String], rule: &str) {
    assert!(wrong.is_empty(), "{rule}:\n{}", wrong.join("\n"));
}

/// Whether a line begins a function.
fn is_function(code: &str) -> bool {
    let modifier = |word: &str| word.starts_with("pub") || ["const", "async", "unsafe"].contains(&word);
    code.split_once("fn ").is_some_and(|(before, _)| before.split_whitespace().all(modifier))
}

/// Whether a file is of tests alone.
fn is_of_tests(path: &str) -> bool {
    path.contains("tests/") || path.ends_with("tests.rs")
}

fn is_crate_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        [.., "src", "lib.rs" | "main.rs"] => true,
        [.., "tests" | "examples" | "benches" | "fuzz_targets", _] => !path.contains("src/"),
        [.., "tests" | "examples" | "benches", _, "main.rs"] => !path.contains("src/"),
        _ => false,
    }
}

/// Where the file of `module`, declared in the file `path`, may be.
fn module_files(path: &str, module: &str) -> [String; 2] {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.trim_end_matches(".rs");
    let base = if stem == "mod" || is_crate_root(path) { folder.to_owned() } else { format!("{folder}/{stem}") };
    [format!("{base}/{module}.rs"), format!("{base}/{module}/mod.rs")]
}

/// First path segments after `krate::`, also inside braces.
fn modules_named(code: &str, krate: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, _) in code.match_indices(&format!("{krate}::")) {
        let rest = &code[at + krate.len() + 2..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut outer = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    _ if depth == 0 => outer.push(c),
                    _ => {}
                }
            }
            named.extend(outer.split(',').map(|item| first_word(item.trim())));
        } else {
            named.push(first_word(rest));
        }
    }
    named
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| is_word(*c)).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn has_item(code: &str, name: &str) -> bool {
    ["fn", "struct", "enum", "trait", "const", "static", "mod", "type"].iter().any(|kind| {
        code.lines()
            .any(|line| has_word(line, kind) && line.contains(&format!("{kind} {name}")) && has_word(line, name))
    })
}

fn is_test(code: &str, name: &str) -> bool {
    let lines: Vec<&str> = code.lines().collect();
    lines.iter().enumerate().any(|(number, line)| {
        line.contains(&format!("fn {name}("))
            && lines[number.saturating_sub(4)..number].iter().any(|l| l.contains("test]") || l.contains("::test("))
    })
}

/// The code with comments, strings and characters replaced by spaces; lines stay where they are.
fn blank_out(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = end_of_literal(bytes, at);
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(code).expect("whole literals were replaced by ASCII")
}

/// Where the comment, string or character that starts at `at` ends; `at` itself if none starts there.
fn end_of_literal(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let find = |from: usize, what: &[u8]| {
        rest[from..]
            .windows(what.len())
            .position(|w| w == what)
            .map_or(bytes.len(), |found| at + from + found + what.len())
    };
    let after_word = at > 0 && is_word(bytes[at - 1] as char);
    match rest {
        [b'/', b'/', ..] => find(2, b"\n") - usize::from(rest.contains(&b'\n')),
        [b'/', b'*', ..] => find(2, b"*/"),
        [b'r', b'"' | b'#', ..] if !after_word || bytes[at - 1] == b'b' => {
            let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return at;
            }
            let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            find(2 + hashes, &close)
        }
        [b'"', ..] => at + 1 + end_of_quoted(&rest[1..], b'"'),
        [b'\'', b'\\', ..] => at + 1 + end_of_quoted(&rest[1..], b'\''),
        [b'\'', ..] => {
            // A character is closed after one scalar value; a lifetime is not closed.
            let scalar = std::str::from_utf8(&rest[1..rest.len().min(6)])
                .or_else(|e| std::str::from_utf8(&rest[1..=e.valid_up_to()]));
            let width = scalar.ok().and_then(|s| s.chars().next()).map_or(1, char::len_utf8);
            if rest.get(1 + width) == Some(&b'\'') { at + 2 + width } else { at }
        }
        _ => at,
    }
}

fn end_of_quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

#[test]
fn the_reader_tells_code_from_words() {
    let text = "let a = \"unsafe \\\" todo!(\"; // unsafe\nlet b = 'x'; let c: &'static str = r#\"dbg!(\"#; /* a\nb */ fn real() {} let q = '\\''; let u = 'ü'; real()";
    let code = blank_out(text);
    assert_eq!(code.lines().count(), text.lines().count());
    for gone in ["unsafe", "todo", "dbg", "'x'"] {
        assert!(!code.contains(gone), "{gone} in {code}");
    }
    assert!(code.contains("&'static str") && code.contains("fn real() {}") && code.ends_with("real()"), "{code}");
    assert_eq!(
        modules_named("use tanist_db_core::{clock::{A, B}, value::C, ids};", "tanist_db_core"),
        ["clock", "value", "ids"]
    );
}
