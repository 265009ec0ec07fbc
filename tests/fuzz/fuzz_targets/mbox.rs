#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| smista_fuzz::mbox(data));
