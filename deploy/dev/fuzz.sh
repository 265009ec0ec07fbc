#!/usr/bin/env bash
# Runs the fuzz targets (tests/fuzz) one after the other, each for so many seconds, and says what they found.
#
#   deploy/dev/fuzz.sh [--seconds N] [TARGET...]        without targets: all of them; without seconds: 60 each
#
# Without a sanitizer, which only a nightly compiler has: panics, arithmetic that overflows, what never ends, what eats memory and
# what tests/fuzz/src says must hold. What is new in coverage is kept in target/fuzz/corpus, an input that breaks something in
# target/fuzz/found; the committed corpus is only read.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

say() { printf 'smista: %s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}

cargo=${CARGO:-cargo}
out=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
seconds=60
targets=()
while [ $# -gt 0 ]; do
    case $1 in
    --seconds)
        seconds=${2:-}
        case $seconds in '' | *[!0-9]* | 0) fail "--seconds wants a number, for example --seconds 600" ;; esac
        shift
        ;;
    -*) fail "unknown option $1 (usage: $0 [--seconds N] [TARGET...])" ;;
    *) targets+=("$1") ;;
    esac
    shift
done
known=$(cd tests/fuzz/fuzz_targets && ls | sed 's/\.rs$//' | tr '\n' ' ')
if [ ${#targets[@]} -eq 0 ]; then read -r -a targets <<<"$known"; fi
for target in "${targets[@]}"; do
    case " $known" in *" $target "*) ;; *) fail "there is no target '$target'; there are: $known" ;; esac
done

if ! "$cargo" fuzz --version >/dev/null 2>&1; then
    say 'installing cargo-fuzz (a minute or two)'
    "$cargo" install --locked cargo-fuzz || fail 'cargo-fuzz could not be installed; the reason is above'
fi
# What is fuzzed has the dependencies of what is shipped.
cp Cargo.lock tests/fuzz/Cargo.lock
for target in "${targets[@]}"; do
    "$cargo" fuzz build --fuzz-dir tests/fuzz --sanitizer none --target-dir "$out" "$target" || fail "$target does not build"
done
host=$(rustc -vV | sed -n 's/^host: //p')

lines=()
found=0
for target in "${targets[@]}"; do
    corpus=$out/corpus/$target inputs=$out/found/$target log=$out/$target.log
    mkdir -p "$corpus" "$inputs"
    say "$target: $seconds seconds (log: $log)"
    "$out/$host/release/$target" "$corpus" "tests/fuzz/corpus/$target" \
        -dict="tests/fuzz/dictionaries/$target.dict" -artifact_prefix="$inputs/" -max_total_time="$seconds" \
        -max_len=8192 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1
    code=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(sed -n 's/^#[0-9]*[[:space:]].* cov: \([0-9]*\) .*/\1/p' "$log" | sed -n '1p;$p' | tr '\n' ' ')
    summary="$(printf '%-10s %10s runs, coverage %s' "$target" "${runs:-0}" "$(printf '%s' "${edges% }" | sed 's/ / -> /')")"
    if [ "$code" -ne 0 ]; then
        found=$((found + 1))
        input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
        summary+=" FOUND: ${input:-see $log}"
        grep -aE 'panicked at|ERROR: libFuzzer' -A 2 "$log" | head -n 6
    fi
    lines+=("$summary")
done

printf '\n== fuzzing\n'
printf '%s\n' "${lines[@]}"
if [ "$found" -gt 0 ]; then
    say "$found target(s) found something. To see it again: $out/$host/release/TARGET INPUT. Mended, the input goes into"
    say "tests/fuzz/corpus/TARGET, under a name that says what was wrong: cargo test runs it from then on."
    exit 1
fi
say 'nothing was found'
