#!/usr/bin/env bash
# What `make test` (all) and `make check` (check) run. Every step runs even when one before it failed; at the end stands
# what passed, what failed and what was skipped, with the reason: a skipped step is never silent.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

what=${1:-all}
cargo=${CARGO:-cargo}
export SQLX_OFFLINE=true
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

steps=()
failed=0
skipped=0

note() { steps+=("$(printf '%-8s %-34s %s' "$1" "$2" "$3")"); }

# step NAME COMMAND...: runs it, shows its output, remembers how it ended and how long it took.
step() {
    local name=$1 started=$SECONDS code
    shift
    printf '\n== %s\n' "$name"
    "$@" 2>&1 | tee "$log"
    code=${PIPESTATUS[0]}
    # What a step itself had to leave out, it says in lines that begin with SKIPPED.
    while IFS= read -r line; do
        skipped=$((skipped + 1))
        note SKIPPED "$name" "${line#SKIPPED: }"
    done < <(grep '^SKIPPED: ' "$log")
    case $code in
    0) note ok "$name" "$((SECONDS - started)) s" ;;
    *)
        failed=$((failed + 1))
        note FAILED "$name" "exit code $code, $((SECONDS - started)) s"
        ;;
    esac
    return "$code"
}

skip() {
    skipped=$((skipped + 1))
    printf '\n== %s\nSKIPPED: %s\n' "$1" "$2"
    note SKIPPED "$1" "$2"
}

# The compiler that the project is developed with: rust-version in Cargo.toml. A newer one has newer lints, and they are no
# reason for anybody's `make test` to fail: they are shown, not enforced.
wanted=$(sed -n 's/^rust-version = "\([0-9]*\.[0-9]*\).*/\1/p' Cargo.toml | head -n 1)
present=$(rustc --version | sed 's/^rustc \([0-9]*\.[0-9]*\).*/\1/')

lints() {
    if [ "$present" = "$wanted" ]; then
        "$cargo" clippy --workspace --all-targets --locked -- -D warnings
    else
        echo "rustc $present, the project's own is $wanted: warnings are shown, not enforced"
        "$cargo" clippy --workspace --all-targets --locked
    fi
}

if "$cargo" fmt --version >/dev/null 2>&1; then
    step 'format (cargo fmt)' "$cargo" fmt --all --check
else
    skip 'format (cargo fmt)' 'rustfmt is not installed (rustup component add rustfmt)'
fi
if "$cargo" clippy --version >/dev/null 2>&1; then
    step 'lints (cargo clippy)' lints
else
    skip 'lints (cargo clippy)' 'clippy is not installed (rustup component add clippy)'
fi
if [ -x deploy/check.sh ]; then step 'deploy/ and docs (deploy/check.sh)' deploy/check.sh; fi

if [ "$what" = all ]; then
    step 'tests (cargo test)' "$cargo" test --workspace --locked --no-fail-fast
    # One line per test binary: "test result: ok. 12 passed; 0 failed; 0 ignored; ..."
    counts=$(sed -n 's/^test result: [a-zA-Z]*\. \([0-9]*\) passed; \([0-9]*\) failed; \([0-9]*\) ignored;.*/\1 \2 \3/p' "$log" |
        awk '{ p += $1; f += $2; i += $3 } END { printf "%d passed, %d failed, %d ignored", p, f, i }')
    note '' 'tests' "$counts"
    total=$(printf '%s' "$counts" | sed 's/, [0-9]* ignored$//')
fi

printf '\n== summary (%d s, %s)\n' "$SECONDS" "$(rustc --version)"
printf '%s\n' "${steps[@]}"
if [ "$skipped" -gt 0 ]; then printf '%d step(s) skipped, see above\n' "$skipped"; fi
# The plain line that says how many tests ran, whatever runner they had.
if [ -n "${total:-}" ]; then printf '%s\n' "$total"; fi
if [ "$failed" -gt 0 ]; then
    printf '%d step(s) FAILED\n' "$failed"
    exit 1
fi
echo 'everything that ran is good'
