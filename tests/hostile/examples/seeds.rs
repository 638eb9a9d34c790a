//! Writes the seeds of a target into a folder, a file each: `seeds TARGET FOLDER`.

use std::path::PathBuf;

use tanist_hostile::TARGETS;

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(folder)) = (arguments.next(), arguments.next().map(PathBuf::from)) else {
        return Err("usage: seeds TARGET FOLDER".to_owned());
    };
    let names = TARGETS.map(|target| target.name).join(", ");
    let target = TARGETS.into_iter().find(|target| target.name == name);
    let target = target.ok_or_else(|| format!("{name} is none of: {names}"))?;
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for (i, seed) in (target.seeds)().iter().enumerate() {
        let file = folder.join(format!("seed-{i:02}"));
        std::fs::write(&file, seed).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}
