#!/usr/bin/env bash
# Checks what is under deploy/ without installing any of it, and the links of the documents. What a tool of this machine cannot check is said in a line
# that begins with SKIPPED (make test counts them); exit code 1 when something is wrong.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

bad=0
ok() { echo "ok: $*"; }
skip() { echo "SKIPPED: $*"; }
wrong() {
    echo "WRONG: $*" >&2
    bad=1
}

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# The unit, as systemd reads it. The program is not installed here: /bin/true stands for it.
unit=$work/smista.service
sed 's|^ExecStart=.*|ExecStart=/bin/true|' deploy/systemd/smista.service >"$unit"
version=$(systemd-analyze --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ -z "$version" ]; then
    skip 'systemd-analyze is not on this machine: smista.service is unchecked (apt-get install systemd)'
elif [ "$version" -lt 250 ]; then
    skip "systemd $version is too old to check a unit by itself (250 or later): smista.service is unchecked"
else
    if said=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no --recursive-errors=no "$unit" 2>&1) && [ -z "$said" ]; then
        ok 'systemd-analyze verify smista.service'
    else
        wrong "systemd-analyze verify smista.service: $said"
    fi
    # The drop-in as the documentation tells to install it.
    mkdir -p "$unit.d"
    cp deploy/systemd/smista.service.d/credentials.conf.example "$unit.d/credentials.conf"
    if said=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no --recursive-errors=no "$unit" 2>&1) && [ -z "$said" ]; then
        ok 'systemd-analyze verify with credentials.conf'
    else
        wrong "systemd-analyze verify with credentials.conf: $said"
    fi
    # Tenfold: 20 is an exposure of 2.0. The score is far from everything, but it falls when a line of hardening does.
    if said=$(systemd-analyze security --no-pager --offline=true --threshold=20 "$unit" 2>&1); then
        ok "systemd-analyze security:$(printf '%s\n' "$said" | sed -n 's/.*exposure level for [^:]*:/ exposure/p')"
    else
        wrong "systemd-analyze security: more exposed than 2.0: $(printf '%s\n' "$said" | tail -n 1)"
    fi
fi

# The user and the directories, made under a scratch root.
root=$work/root
mkdir -p "$root/etc"
if ! command -v systemd-sysusers >/dev/null; then
    skip 'systemd-sysusers is not on this machine: smista.sysusers.conf is unchecked'
elif ! said=$(systemd-sysusers --root="$root" "$PWD/deploy/systemd/smista.sysusers.conf" 2>&1); then
    wrong "systemd-sysusers: $said"
elif ! grep -q '^smista:[^:]*:[0-9]*:[0-9]*:[^:]*:/var/lib/smista:/usr/sbin/nologin$' "$root/etc/passwd"; then
    wrong "systemd-sysusers made no user smista as it should be: $(cat "$root/etc/passwd")"
else
    ok 'systemd-sysusers makes the user smista'
fi
if [ "$(id -u)" -ne 0 ]; then
    skip 'systemd-tmpfiles can only be tried as root: smista.tmpfiles.conf is unchecked'
elif ! command -v systemd-tmpfiles >/dev/null || [ ! -s "$root/etc/passwd" ]; then
    skip 'systemd-tmpfiles or systemd-sysusers is not on this machine: smista.tmpfiles.conf is unchecked'
elif ! said=$(systemd-tmpfiles --root="$root" --create "$PWD/deploy/systemd/smista.tmpfiles.conf" 2>&1); then
    wrong "systemd-tmpfiles: $said"
else
    id=$(sed -n 's/^smista:[^:]*:\([0-9]*\):.*/\1/p' "$root/etc/passwd")
    found=$(cd "$root" && stat -c '%a %u %n' etc/smista etc/smista/credentials var/lib/smista)
    expected=$(printf '755 0 etc/smista\n700 0 etc/smista/credentials\n700 %s var/lib/smista' "$id")
    if [ "$found" = "$expected" ]; then ok 'systemd-tmpfiles makes the directories'; else wrong "systemd-tmpfiles made: $found"; fi
fi

# Links between the documents: files that are there, and no document that nobody leads to.
links=0
while IFS=: read -r file link; do
    target=${link%%#*}
    case $target in '' | *://* | mailto:*) continue ;; esac
    links=$((links + 1))
    [ -e "$(dirname "$file")/$target" ] || wrong "$file leads to $target, which is not there"
done < <(grep -rnoE '\]\([^) ]+\)' --include='*.md' README.md CONTRIBUTING.md docs | sed -E 's/^([^:]+):[0-9]+:\]\(([^)]*)\)$/\1:\2/')
while IFS= read -r file; do
    grep -rqF --include='*.md' --exclude="${file##*/}" "${file##*/}" README.md CONTRIBUTING.md docs || wrong "no document leads to $file"
done < <(find docs -name '*.md' ! -name README.md)
ok "$links links between documents"
names=0
# shellcheck disable=SC2016  # backticks of Markdown
while IFS= read -r name; do
    names=$((names + 1))
    grep -rqE --include='*.rs' "fn $name\\b" crates tests || wrong "docs/known-failures.md names the test $name, which is not there"
done < <(sed -n 's/.*|\([^|]*\)|$/\1/p' docs/known-failures.md | grep -oE '`[a-z0-9_]+`' | tr -d '`' | sort -u)
while IFS= read -r name; do
    grep -q "\`$name\`" docs/known-failures.md || wrong "docs/known-failures.md does not name the test $name"
done < <(sed -nE 's/^(async )?fn ([a-z0-9_]+_[0-9]+_[a-z0-9_]+)\(\).*/\2/p' tests/known_failures/*.rs)
ok "$names tests that docs/known-failures.md names"

# Our own scripts.
scripts=(.ci/run deploy/*.sh deploy/dev/*.sh)
if command -v shellcheck >/dev/null; then
    if shellcheck "${scripts[@]}"; then ok "shellcheck ${scripts[*]}"; else wrong 'shellcheck'; fi
else
    skip 'shellcheck is not on this machine: the scripts are checked for syntax only'
    for script in "${scripts[@]}"; do bash -n "$script" || wrong "$script"; done
fi
for script in "${scripts[@]}"; do [ -x "$script" ] || wrong "$script is not executable"; done

exit "$bad"
