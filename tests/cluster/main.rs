//! A cluster of real processes whose parts are killed, stopped, cut off from each other and put under load, while clients record
//! every operation. Afterwards one copy of the data must explain every answer (`tanist-history`).
//!
//! Vault, nodes and clients have a network namespace each, joined by a bridge, so that any of them can be cut off from any other,
//! also in one direction. Where that is not permitted they share the loopback interface, and what needs cuts is left out and says so.
//! Only one cluster runs at a time. Times are printed, and collected for `docs/takeover-times.md`; none is asserted, but for a bound
//! on the time after a heal that only a heal which nobody notices exceeds.

#![expect(clippy::disallowed_methods, reason = "tests of real processes wait for real time")]
#![expect(clippy::print_stdout, reason = "what was measured, and the seed")]

mod cluster;
mod load;
mod network;

mod clock;
mod crash;
mod cut;
mod false_alarm;
mod long_commands;
mod planned;
mod silence;
mod takeovers;
mod upgrade;
