//! See `tanist_hostile::resp`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tanist_hostile::resp::read(bytes));
