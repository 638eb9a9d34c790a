//! PFADD, PFCOUNT and PFMERGE: how many different elements there were, about.

use super::string::write_at;
use crate::engine::call::{Call, Failure, Outcome, Reply};
use crate::engine::{Data, sizes};
use crate::keyspace::Located;
use crate::types::string::{PatchList, StringChange};
use crate::value::ValueView;
use crate::value::hyperloglog::{Header, HyperLogLog, HyperLogLogError, Registers};

impl From<HyperLogLogError> for Failure {
    fn from(error: HyperLogLogError) -> Failure {
        Failure::fixed(match error {
            HyperLogLogError::Foreign => "WRONGTYPE Key is not a valid HyperLogLog string value.",
            HyperLogLogError::Corrupted => "INVALIDOBJ Corrupted HLL object detected",
        })
    }
}

pub(crate) fn pfadd(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let sparse_bytes_max = data.size(sizes::HLL_SPARSE_BYTES);
    let mut at = data.locate(&call.key(0));
    let old = read(data, &at)?;
    let mut new = old.clone().unwrap_or_else(HyperLogLog::new);
    let mut changed = old.is_none();
    for element in &call.args()[2..] {
        changed |= new.add(element, sparse_bytes_max);
    }
    if changed {
        new.outdate_count();
        put(data, &mut at, old.as_ref(), &new)?;
    }
    reply.int(i64::from(changed));
    Ok(())
}

/// PFCOUNT: the count of one key is kept with it, as a change of the key.
pub(crate) fn pfcount(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let mut at = data.locate(&call.key(0));
    if call.args().len() > 2 {
        let keys: Vec<Located<'_>> = call.keys().map(|key| data.locate(&key)).collect();
        reply.count(merged(data, &keys)?.0.count());
        return Ok(());
    }
    let Some(value) = data.string(&at)?.map(|entry| entry.value()) else {
        reply.int(0);
        return Ok(());
    };
    if let Some(count) = Header::read(&value)?.count() {
        reply.count(count);
        return Ok(());
    }
    let (count, len) = (HyperLogLog::read(&value)?.count(), value.len());
    write_at(data, &mut at, Some(len), Header::COUNT_AT, &count.to_le_bytes())?;
    reply.count(count);
    Ok(())
}

/// PFMERGE: the first key is one of those that are merged.
pub(crate) fn pfmerge(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let sparse_bytes_max = data.size(sizes::HLL_SPARSE_BYTES);
    let keys: Vec<Located<'_>> = call.keys().map(|key| data.locate(&key)).collect();
    let (registers, is_any_dense) = merged(data, &keys)?;
    let mut to = keys[0];
    let old = read(data, &to)?;
    let mut new = old.clone().unwrap_or_else(HyperLogLog::new);
    if is_any_dense {
        new.make_dense();
    }
    new.raise_all(&registers, sparse_bytes_max);
    new.outdate_count();
    put(data, &mut to, old.as_ref(), &new)?;
    reply.ok();
    Ok(())
}

/// The registers of all keys, and whether any of them is dense.
fn merged(data: &mut Data<'_>, keys: &[Located<'_>]) -> Result<(Registers, bool), Failure> {
    let (mut registers, mut is_any_dense) = (Registers::new(), false);
    for at in keys {
        if let Some(one) = read(data, at)? {
            is_any_dense |= one.is_dense();
            one.merge_into(&mut registers);
        }
    }
    Ok((registers, is_any_dense))
}

/// What is at a key.
fn read(data: &mut Data<'_>, at: &Located<'_>) -> Result<Option<HyperLogLog>, Failure> {
    let value: Option<ValueView<'_>> = data.string(at)?.map(|entry| entry.value());
    Ok(value.map(|value| HyperLogLog::read(&value)).transpose()?)
}

/// Puts `new` in the place of `old`; the record has what differs.
fn put(data: &mut Data<'_>, at: &mut Located<'_>, old: Option<&HyperLogLog>, new: &HyperLogLog) -> Outcome {
    let (new, old) = (new.bytes(), old.map(HyperLogLog::bytes));
    let Some(old) = old.filter(|old| old.len() <= new.len()) else {
        let expire = data.entry(at).and_then(|entry| entry.expire_at());
        return data.change(at, StringChange::Set { value: new, expire });
    };
    let mut patches = PatchList::between(old, new);
    let patches = patches.finish();
    if patches.is_empty() {
        return Ok(());
    }
    data.change(at, StringChange::Patch { afresh: false, len: new.len() as u64, patches })
}
