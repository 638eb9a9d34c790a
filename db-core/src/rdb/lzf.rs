//! The compression of long strings (LZF): pieces that stand there, and pieces that repeat what came before.
//!
//! ```text
//!   000nnnnn, bytes               n + 1 bytes as they are
//!   nnnddddd d                    n + 2 bytes (n from 1 to 6) from the distance d + 1 back, 13 bits
//!   111ddddd n d                  the same with n + 9 bytes
//! ```

/// Most bytes that a byte can become: three of them repeat 264.
const GROWTH_MAX: usize = 88;

const LITERAL_END: u8 = 1 << 5;
const LONG: usize = 7;

/// Appends the `len` bytes that `packed` stands for to `out`, which is empty; `None` if it stands for something else.
pub(super) fn decode(packed: &[u8], len: usize, out: &mut Vec<u8>) -> Option<()> {
    if len > packed.len().saturating_mul(GROWTH_MAX) {
        return None;
    }
    out.reserve_exact(len);
    let mut rest = packed;
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first < LITERAL_END {
            let (bytes, behind) = rest.split_at_checked(usize::from(*first) + 1)?;
            out.extend_from_slice(bytes);
            rest = behind;
        } else {
            let mut repeated = usize::from(first >> 5);
            if repeated == LONG {
                let (more, behind) = rest.split_first()?;
                repeated += usize::from(*more);
                rest = behind;
            }
            let (low, behind) = rest.split_first()?;
            rest = behind;
            let distance = (usize::from(first & (LITERAL_END - 1)) << 8 | usize::from(*low)) + 1;
            repeat(out, distance, repeated + 2)?;
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(())
}

/// Appends `count` bytes that begin `distance` before the end, of which some may be among those appended.
fn repeat(out: &mut Vec<u8>, distance: usize, count: usize) -> Option<()> {
    let start = out.len().checked_sub(distance)?;
    if distance >= count {
        out.extend_from_within(start..start + count);
    } else {
        (start..start + count).for_each(|at| out.push(out[at]));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(packed: &[u8], len: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(packed, len, &mut out).map(|()| out)
    }

    #[test]
    fn pieces_stand_there_or_repeat() {
        assert_eq!(decoded(&[2, b'a', b'b', b'c'], 3).unwrap(), b"abc");
        // Three more from three back; then a run of one byte.
        assert_eq!(decoded(&[2, b'a', b'b', b'c', 0x20, 2], 6).unwrap(), b"abcabc");
        assert_eq!(decoded(&[0, b'x', 0xe0, 255, 0], 265).unwrap(), [b'x'; 265]);
        assert_eq!(decoded(&[], 0).unwrap(), b"");
    }

    #[test]
    fn what_is_damaged_is_refused() {
        for (packed, len) in [
            (&[2, b'a', b'b'][..], 3),
            (&[0x20, 0], 3),
            (&[0, b'a', 0x20], 4),
            (&[0, b'a', 0xe0, 1], 12),
            (&[0, b'a', 0x20, 1], 4),
            (&[2, b'a', b'b', b'c'], 2),
            (&[2, b'a', b'b', b'c'], 4),
            (&[0, b'x', 0xe0, 255, 0], usize::MAX),
        ] {
            assert_eq!(decoded(packed, len), None, "{packed:?}");
        }
    }

    #[test]
    fn no_input_becomes_more_than_the_bound() {
        let mut packed = vec![0, b'x'];
        (0..1000).for_each(|_| packed.extend_from_slice(&[0xe0, 255, 0]));
        assert_eq!(decoded(&packed, 1 + 1000 * 264).map(|out| out.len()), Some(264_001));
        assert!(264_001 <= packed.len() * GROWTH_MAX);
    }
}
