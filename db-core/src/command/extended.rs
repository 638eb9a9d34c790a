//! Extended-precision numbers: what `INCRBYFLOAT` calculates with.
//!
//! Redis uses C's `long double`, which on x86-64 has a significand of 64 bits, and prints 17 decimals. A `f64` has 53 bits
//! and shows: 3.0 + 1.1 would read 4.09999999999999964. So this is the x86 format in integers: parsing and addition are
//! rounded to nearest, ties to even, and printing is exact before it is rounded to 17 decimals. Other than the C type it
//! gives the same result on every machine.
//!
//! Numbers below the smallest normal one (3.4e-4932) keep full precision here; at 17 decimals that cannot be seen.

use super::natural::Natural;

/// Longest text of a number, in bytes: Redis's buffer, which the largest number fits into.
pub(super) const TEXT_MAX: usize = 5 * 1024 - 1;

/// Numbers at or above two to this power are infinite.
const EXPONENT_END: i32 = 16384;

/// Decimals printed, before zeros at the end are taken away.
const DECIMALS: u32 = 17;

/// A number or infinity; never "not a number".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extended {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Magnitude {
    Zero,
    /// `significand * 2^exponent`, the significand's top bit set.
    Finite {
        significand: u64,
        exponent: i32,
    },
    Infinite,
}

impl Extended {
    /// What C's `strtold` reads, all of `text` and nothing before it: decimal, hexadecimal or `inf`; not what is too large
    /// or too small for any but infinity and zero.
    pub(super) fn parse(text: &[u8]) -> Option<Extended> {
        if text.len() > TEXT_MAX {
            return None;
        }
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if [&b"inf"[..], b"infinity"].iter().any(|word| rest.eq_ignore_ascii_case(word)) {
            return Some(Extended { negative, magnitude: Magnitude::Infinite });
        }
        let magnitude = match rest {
            [b'0', b'x' | b'X', hex @ ..] => Digits::parse(hex, 16, b'p')?.binary(),
            decimal => Digits::parse(decimal, 10, b'e')?.decimal(),
        }?;
        Some(Extended { negative, magnitude })
    }

    /// The largest number.
    pub(super) const MAX: Extended = Extended {
        negative: false,
        magnitude: Magnitude::Finite { significand: u64::MAX, exponent: EXPONENT_END - 64 },
    };

    /// The number of the other sign.
    pub(super) const fn negated(self) -> Extended {
        Extended { negative: !self.negative, ..self }
    }

    /// Whether it is less than another one.
    pub(super) fn is_below(self, other: Extended) -> bool {
        // A difference is rounded, but never to zero.
        let difference = self.plus(other.negated());
        difference.is_some_and(|difference| difference.negative && difference.magnitude != Magnitude::Zero)
    }

    /// Whether it is infinity.
    pub(super) const fn is_infinite(self) -> bool {
        matches!(self.magnitude, Magnitude::Infinite)
    }

    /// The sum; `None` if there is none (infinities of different signs).
    pub(super) fn plus(self, other: Extended) -> Option<Extended> {
        match (self.magnitude, other.magnitude) {
            (Magnitude::Infinite, Magnitude::Infinite) => (self.negative == other.negative).then_some(self),
            (Magnitude::Infinite, _) | (_, Magnitude::Zero) => Some(self),
            (_, Magnitude::Infinite) | (Magnitude::Zero, _) => Some(other),
            (
                Magnitude::Finite { significand: a, exponent: ea },
                Magnitude::Finite { significand: b, exponent: eb },
            ) => {
                if (ea, a) < (eb, b) {
                    return other.plus(self);
                }
                let large = u128::from(a) << 63;
                let small = shift_right_sticky(u128::from(b) << 63, (ea - eb) as u32);
                let sum = if self.negative == other.negative { large + small } else { large - small };
                Some(Extended { negative: self.negative, magnitude: rounded(sum, false, ea - 63) })
            }
        }
    }

    /// The number with up to 17 decimals, zeros at the end left away; `None` for infinity.
    pub(super) fn to_text(self) -> Option<String> {
        let (significand, exponent) = match self.magnitude {
            Magnitude::Zero => return Some("0".to_owned()),
            Magnitude::Infinite => return None,
            Magnitude::Finite { significand, exponent } => (significand, exponent),
        };
        let sign = if self.negative { "-" } else { "" };
        if exponent >= 0 {
            return Some(format!("{sign}{}", Natural::from(significand).shifted(exponent as u32).to_decimal()));
        }
        let unit = 10u128.pow(DECIMALS);
        let scaled = shift_right_even(u128::from(significand) * unit, exponent.unsigned_abs());
        if scaled == 0 {
            return Some("0".to_owned());
        }
        let text = format!("{sign}{}.{:017}", scaled / unit, scaled % unit);
        Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
    }
}

/// `value * 2^-by`, its last bit set if anything was lost.
fn shift_right_sticky(value: u128, by: u32) -> u128 {
    let kept = value.checked_shr(by).unwrap_or(0);
    kept | u128::from(kept.checked_shl(by).unwrap_or(0) != value)
}

/// `value * 2^-by` to the nearest integer, ties to even.
fn shift_right_even(value: u128, by: u32) -> u128 {
    round_quarters(if by >= 2 { shift_right_sticky(value, by - 2) } else { value << (2 - by) })
}

/// `quarters / 4` to the nearest integer, ties to even.
fn round_quarters(quarters: u128) -> u128 {
    let (whole, part) = (quarters >> 2, quarters & 3);
    whole + u128::from(part == 3 || (part == 2 && whole & 1 == 1))
}

/// `value * 2^exponent`, and a little more if `sticky`, to a significand of 64 bits.
fn rounded(value: u128, sticky: bool, exponent: i32) -> Magnitude {
    if value == 0 {
        return Magnitude::Zero;
    }
    // 64 bits and two more, which tell below, at and above half; the last one is sticky.
    let bits = 128 - value.leading_zeros();
    let quarters = if bits >= 66 { shift_right_sticky(value, bits - 66) } else { value << (66 - bits) };
    let whole = round_quarters(quarters | u128::from(sticky));
    let exponent = exponent + bits as i32 - 64;
    let carried = whole >> 64 != 0;
    let (significand, exponent) = if carried { (1 << 63, exponent + 1) } else { (whole as u64, exponent) };
    if exponent + 64 > EXPONENT_END { Magnitude::Infinite } else { Magnitude::Finite { significand, exponent } }
}

/// Digits with the exponent of their last one, in powers of ten or two.
struct Digits {
    digits: Natural,
    count: i32,
    exponent: i32,
}

impl Digits {
    fn parse(text: &[u8], radix: u32, exponent_letter: u8) -> Option<Digits> {
        let (mut digits, mut count, mut decimals, mut seen, mut point) = (Natural::default(), 0, 0, false, false);
        // Digits are gathered until the next might not fit, for what they are added to may be long.
        let (mut gathered, mut scale) = (0u32, 1u32);
        let mut rest = text;
        while let [byte, tail @ ..] = rest {
            match char::from(*byte).to_digit(radix) {
                Some(digit) => {
                    (gathered, scale) = (gathered * radix + digit, scale * radix);
                    if scale > u32::MAX / 16 / 16 {
                        digits = digits.times_plus(scale, gathered);
                        (gathered, scale) = (0, 1);
                    }
                    count += i32::from(count > 0 || digit > 0);
                    decimals += i32::from(point);
                    seen = true;
                }
                None if *byte == b'.' && !point => point = true,
                None => break,
            }
            rest = tail;
        }
        let digits = digits.times_plus(scale, gathered);
        let power = if radix == 16 { 4 } else { 1 };
        let exponent = match rest {
            [] => 0,
            [byte, power @ ..] if byte.eq_ignore_ascii_case(&exponent_letter) => parse_exponent(power)?,
            _ => return None,
        };
        seen.then_some(Digits { digits, count, exponent: exponent - decimals * power })
    }

    fn binary(self) -> Option<Magnitude> {
        if self.digits.is_zero() {
            return Some(Magnitude::Zero);
        }
        let surplus = (self.digits.bits() - 67).max(0) as u32;
        let (value, sticky) = self.digits.divided(Natural::from(1).shifted(surplus), 68);
        in_range(rounded(value, sticky, self.exponent + surplus as i32))
    }

    fn decimal(self) -> Option<Magnitude> {
        const POWER_MAX: i32 = 5000;
        if self.digits.is_zero() {
            return Some(Magnitude::Zero);
        }
        if self.count + self.exponent > POWER_MAX || self.count + self.exponent < -POWER_MAX {
            return None;
        }
        let power = self.exponent.unsigned_abs();
        let (above, below) = if self.exponent >= 0 {
            (self.digits.times_power_of_ten(power), Natural::from(1))
        } else {
            (self.digits, Natural::from(1).times_power_of_ten(power))
        };
        // The quotient gets 66 or 67 bits: enough to round it to 64, knowing whether anything is left.
        let shift = 66 - (above.bits() - below.bits());
        let (above, below) = if shift >= 0 {
            (above.shifted(shift.unsigned_abs()), below)
        } else {
            (above, below.shifted(shift.unsigned_abs()))
        };
        let (value, sticky) = above.divided(below, 68);
        in_range(rounded(value, sticky, -shift))
    }
}

/// What `strtold` does not report as out of range.
fn in_range(magnitude: Magnitude) -> Option<Magnitude> {
    const EXPONENT_MIN: i32 = -16445;
    match magnitude {
        Magnitude::Infinite => None,
        Magnitude::Finite { exponent, .. } if exponent + 64 < EXPONENT_MIN => None,
        magnitude => Some(magnitude),
    }
}

/// A decimal exponent with a sign; far ones are cut off at a size that is out of range in any case.
fn parse_exponent(text: &[u8]) -> Option<i32> {
    const FAR: i32 = 100_000;
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0, |value: i32, digit| (value * 10 + i32::from(digit - b'0')).min(FAR));
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared() {
        let of = |text: &str| Extended::parse(text.as_bytes()).unwrap();
        let ascending =
            ["-inf", "-1e4000", "-2", "-0.1", "0", "1e-4000", "0.1", "0.10000000000000001", "1", "1e4000", "inf"];
        for (at, low) in ascending.iter().enumerate() {
            for (other, high) in ascending.iter().enumerate() {
                assert_eq!(of(low).is_below(of(high)), at < other, "{low} {high}");
            }
        }
        assert!(!of("-0").is_below(of("0")) && !of("0").is_below(of("-0")));
        assert!(of("1e4932").is_below(Extended::MAX) && Extended::MAX.is_below(of("inf")));
        assert!(Extended::MAX.plus(Extended::MAX).unwrap().is_infinite());
    }

    fn sum(a: &str, b: &str) -> Option<String> {
        Extended::parse(a.as_bytes()).unwrap().plus(Extended::parse(b.as_bytes()).unwrap())?.to_text()
    }

    fn text(a: &str) -> Option<String> {
        Extended::parse(a.as_bytes()).and_then(Extended::to_text)
    }

    /// Expected texts are those of redis-server 7.0.15 on x86-64.
    #[test]
    fn sums_read_as_in_redis() {
        for (a, b, expected) in [
            ("3.0", "1.1", "4.1"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("0.1", "0.2", "0.3"),
            ("1", "-1", "0"),
            ("-1", "0.9", "-0.1"),
            ("1e20", "0.1", "100000000000000000000"),
            ("1e18", "0.1", "1000000000000000000.125"),
            ("0", "1e-17", "0.00000000000000001"),
            ("0", "-1e-18", "0"),
            ("0x10", "0x.8p1", "17"),
            ("99999999999999999999.5", "0.25", "100000000000000000000"),
            ("123456789.123456789", "0.000000001", "123456789.12345678999554366"),
            ("1e-18", "9e-18", "0.00000000000000001"),
            ("-0.0", "-0.0", "0"),
        ] {
            assert_eq!(sum(a, b).as_deref(), Some(expected), "{a} + {b}");
        }
    }

    #[test]
    fn large_numbers_are_written_in_full() {
        let expected = "200000000000000000001799464815911838774104788854658149587652016464253129319236187151169830\
             416750099438070074501722854967180718511236934596782619252104149729257465427128368730658816\
             851021521203357945330586474006110276589524198908058954556377924121235853522325419482130113\
             4374772211380178849830208012288";
        assert_eq!(sum("1e300", "1e300").as_deref(), Some(expected));
    }

    #[test]
    fn infinity_is_read_but_never_written() {
        assert_eq!(sum("inf", "1"), None);
        assert_eq!(Extended::parse(b"inf").unwrap().plus(Extended::parse(b"-infinity").unwrap()), None);
        assert_eq!(sum("1e4932", "1e4932"), None);
    }

    #[test]
    fn only_numbers_are_read() {
        for text in ["", " 1", "1 ", "1a", ".", "e5", "1e", "1e+", "nan", "--1", "1e5000", "1e-5000", "0x", "1.2.3"] {
            assert_eq!(Extended::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Extended::parse(&[b'0'; TEXT_MAX + 1]), None);
        assert_eq!(Extended::parse(&[b'0'; TEXT_MAX]).and_then(Extended::to_text), Some("0".into()));
        assert_eq!(text("-0"), Some("0".into()));
        assert_eq!(text("+.5"), Some("0.5".into()));
        assert_eq!(text("5."), Some("5".into()));
        assert_eq!(text("0.000000000000000005"), Some("0".into()), "a little below half, in binary");
        assert_eq!(text("0.000000000000000006"), Some("0.00000000000000001".into()));
    }

    #[test]
    fn integers_of_64_bits_are_exact() {
        for value in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) + 1, 12_345_678_901_234_567_890, 1] {
            assert_eq!(text(&value.to_string()), Some(value.to_string()));
        }
        // 2^64 + 1 lies half way: ties go to the even neighbour.
        assert_eq!(text("18446744073709551617"), Some("18446744073709551616".into()));
        assert_eq!(text("18446744073709551619"), Some("18446744073709551620".into()));
    }
}
