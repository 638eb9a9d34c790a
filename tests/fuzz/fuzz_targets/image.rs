//! See `tanist_hostile::image`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tanist_hostile::image::read(bytes));
