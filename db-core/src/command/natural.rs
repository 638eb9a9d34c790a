//! Unsigned big integers: only what the exact conversion between decimal and binary needs.

use std::cmp::Ordering;

/// 32-bit digits, least significant first, the last one not zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Natural(Vec<u32>);

impl Natural {
    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of bits without leading zeros.
    pub(super) fn bits(&self) -> i32 {
        self.0.last().map_or(0, |top| self.0.len() as i32 * 32 - top.leading_zeros() as i32)
    }

    /// This times `factor` and `addend` more.
    pub(super) fn times_plus(mut self, factor: u32, addend: u32) -> Natural {
        let mut carry = u64::from(addend);
        for digit in &mut self.0 {
            carry += u64::from(*digit) * u64::from(factor);
            *digit = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
        self.trimmed()
    }

    /// This times ten to the power of `exponent`.
    pub(super) fn times_power_of_ten(mut self, exponent: u32) -> Natural {
        const AT_ONCE: u32 = 9;
        for _ in 0..exponent / AT_ONCE {
            self = self.times_plus(10u32.pow(AT_ONCE), 0);
        }
        self.times_plus(10u32.pow(exponent % AT_ONCE), 0)
    }

    /// This times two to the power of `by`.
    pub(super) fn shifted(self, by: u32) -> Natural {
        let mut digits = vec![0; by as usize / 32];
        digits.extend(self.0);
        Natural(digits).times_plus(1 << (by % 32), 0)
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for digit in self.0.iter_mut().rev() {
            (*digit, carry) = (*digit >> 1 | carry << 31, *digit & 1);
        }
        self.trim();
    }

    /// Subtracts `other`, which is not larger.
    fn subtract(&mut self, other: &Natural) {
        let mut borrow = false;
        for (i, digit) in self.0.iter_mut().enumerate() {
            let (less, first) = digit.overflowing_sub(other.0.get(i).copied().unwrap_or(0));
            let (less, second) = less.overflowing_sub(u32::from(borrow));
            *digit = less;
            borrow = first || second;
        }
        assert!(!borrow, "the subtrahend is not larger");
        self.trim();
    }

    /// The whole part of this divided by `divisor`, which must be below 2^`bits`, and whether there is a rest.
    pub(super) fn divided(mut self, divisor: Natural, bits: u32) -> (u128, bool) {
        let mut shifted = divisor.shifted(bits);
        let mut quotient = 0;
        for _ in 0..=bits {
            quotient <<= 1;
            if self.compare(&shifted) != Ordering::Less {
                self.subtract(&shifted);
                quotient |= 1;
            }
            shifted.halve();
        }
        (quotient, !self.is_zero())
    }

    /// Its decimal form.
    pub(super) fn to_decimal(&self) -> String {
        const GROUP: u64 = 1_000_000_000;
        let mut rest = self.clone();
        let mut groups = Vec::new();
        while !rest.is_zero() {
            let mut carry = 0;
            for digit in rest.0.iter_mut().rev() {
                carry = carry << 32 | u64::from(*digit);
                *digit = (carry / GROUP) as u32;
                carry %= GROUP;
            }
            rest.trim();
            groups.push(carry);
        }
        let mut text = groups.pop().unwrap_or(0).to_string();
        groups.iter().rev().for_each(|group| text.push_str(&format!("{group:09}")));
        text
    }

    fn compare(&self, other: &Natural) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn trimmed(mut self) -> Natural {
        self.trim();
        self
    }
}

impl From<u64> for Natural {
    fn from(value: u64) -> Natural {
        Natural(vec![value as u32, (value >> 32) as u32]).trimmed()
    }
}
