//! LPOS.

use crate::engine::Data;
use crate::engine::call::number::parse_i64;
use crate::engine::call::{Call, Failure, Outcome, Reply, is};
use crate::value::ValueView;

/// What LPOS is asked for.
#[derive(Default)]
struct PositionOptions {
    rank: Option<i64>,
    count: Option<u64>,
    compared_max: Option<u64>,
}

impl PositionOptions {
    fn parse(call: &Call<'_>) -> Result<PositionOptions, Failure> {
        let mut wanted = PositionOptions::default();
        let mut options = call.options(3);
        while let Some(word) = options.word() {
            let not_negative = |value: &[u8], text: &'static str| {
                let number = parse_i64(value).ok_or(Failure::fixed(text))?;
                u64::try_from(number).map_err(|_| Failure::fixed(text))
            };
            if is(word, "RANK") {
                let rank = parse_i64(options.value()?).ok_or(Failure::NOT_AN_INTEGER)?;
                if rank == i64::MIN {
                    let text =
                        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
                    return Err(Failure::fixed(text));
                }
                if rank == 0 {
                    return Err(Failure::fixed(
                        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative \
                         to start from the end of the list",
                    ));
                }
                wanted.rank = Some(rank);
            } else if is(word, "COUNT") {
                wanted.count = Some(not_negative(options.value()?, "ERR COUNT can't be negative")?);
            } else if is(word, "MAXLEN") {
                wanted.compared_max = Some(not_negative(options.value()?, "ERR MAXLEN can't be negative")?);
            } else {
                return Err(Failure::SYNTAX);
            }
        }
        Ok(wanted)
    }
}

pub(crate) fn lpos(data: &mut Data<'_>, call: &Call<'_>, reply: &mut Reply) -> Outcome {
    let PositionOptions { rank, count, compared_max } = PositionOptions::parse(call)?;
    let rank = rank.unwrap_or(1);
    let at = data.locate(&call.key(0));
    let mut found = Vec::new();
    if let Some(view) = data.list(&at)? {
        let max = match count {
            None => 1,
            Some(0) => u64::MAX,
            Some(count) => count,
        };
        let mut compared_left = compared_max.filter(|max| *max > 0).unwrap_or(u64::MAX);
        let mut passed = rank.unsigned_abs() - 1;
        let back = rank < 0;
        let mut index = if back { view.len().wrapping_sub(1) } else { 0 };
        let mut look = |value: ValueView<'_>| {
            if value.equals(call.arg(2)) {
                if passed == 0 {
                    found.push(index);
                } else {
                    passed -= 1;
                }
            }
            index = if back { index.wrapping_sub(1) } else { index + 1 };
            compared_left -= 1;
            compared_left > 0 && (found.len() as u64) < max
        };
        if back {
            view.each_back_from(view.len(), &mut look);
        } else {
            view.each_from(0, &mut look);
        }
    }
    match (count, found.first()) {
        (Some(_), _) => {
            reply.array(found.len());
            found.iter().for_each(|index| reply.count(*index));
        }
        (None, Some(index)) => reply.count(*index),
        (None, None) => reply.null(),
    }
    Ok(())
}
