#!/bin/sh
# Installs what `make demo`, `make test`, `make bench`, `make corpora` and `make fuzz` need besides a Rust toolchain, on Debian and Ubuntu.
#
#   deploy/dev/install-deps.sh build|demo|test|bench|corpora|fuzz
#
# Says what it does, asks nothing (sudo may ask for your password on a terminal), and does nothing when nothing is
# missing. What it installs is only ever started by smista itself, privately and for the length of a run:
#   - a C compiler                  some crates (ring, zstd) have parts in C
#   - the PostgreSQL server files   no cluster is created
#   - the Dovecot IMAP server       demo, test, bench: a real mailbox
#   - the Cyrus IMAP server         test: the other kind of server. Its package and Dovecot's exclude each other, so it is not
#                                   installed: its files are unpacked into /opt/smista-dev/cyrus (rm -r removes it)
#   - python3                       bench, corpora: the comparison with what Python reads
#   - a C++ compiler                fuzz: libFuzzer
# No service is started or enabled, and a cluster, Dovecot or policy-rc.d that is already here stays as it is.
set -eu

say() { printf '%s\n' "smista: $*"; }
fail() {
    printf '%s\n' "smista: $*" >&2
    exit 69
}

# The first server of a usable major version (14 and later), or nothing.
postgres_bin() {
    for bin in /usr/lib/postgresql/*/bin; do
        major=${bin#/usr/lib/postgresql/}
        major=${major%/bin}
        case $major in *[!0-9]* | '') continue ;; esac
        if [ "$major" -ge 14 ] && [ -x "$bin/postgres" ] && [ -x "$bin/initdb" ]; then
            printf '%s\n' "$bin"
            return 0
        fi
    done
    return 1
}

have() { command -v "$1" >/dev/null 2>&1; }
# Linking needs the C library's start-up files, not just a compiler driver.
have_cc() { have cc && [ -n "$(cc -print-file-name=crt1.o 2>/dev/null | grep / || true)" ]; }
have_dovecot() { [ -x /usr/sbin/dovecot ] && { [ -x /usr/lib/dovecot/imap ] || [ -x /usr/libexec/dovecot/imap ]; }; }

CYRUS=/opt/smista-dev/cyrus
# Unpacked as a whole: the mark is made last.
have_cyrus() { [ -e "$CYRUS/unpacked" ] && [ -x "$CYRUS/usr/lib/cyrus/bin/imapd" ]; }

# Words for what is missing for the given purpose, one a line.
missing() {
    have_cc || echo cc
    [ "$1" = build ] && return 0
    if [ "$1" = fuzz ]; then
        have c++ || echo c++
        return 0
    fi
    postgres_bin >/dev/null || echo postgresql
    if [ "$1" != corpora ]; then have_dovecot || echo dovecot; fi
    if [ "$1" = test ]; then have_cyrus || echo cyrus; fi
    case $1 in bench | corpora) have python3 || echo python3 ;; esac
}

# --- as root from here, once, in one process ---------------------------------------------------------------------

APT_GET="apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120"

install_packages() {
    say "installing: $*"
    log=$(mktemp)
    # shellcheck disable=SC2086  # APT_GET is a command with its options
    if ! DEBIAN_FRONTEND=noninteractive $APT_GET install -y --no-install-recommends "$@" </dev/null >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        fail "apt-get could not install: $*. Its last lines are above; mend that, then start again."
    fi
    rm -f "$log"
}

# Unpacks packages, and the libraries among their dependencies that this machine lacks, into a folder; installs nothing.
unpack_packages() {
    into=$1
    shift
    debs=$(mktemp -d)
    # apt fetches as its own user where it can
    chmod 755 "$debs"
    mkdir -p "$into"
    wanted=$* seen=' '
    while [ -n "$wanted" ]; do
        # shellcheck disable=SC2086  # the first word, and the rest
        set -- $wanted
        package=$1
        shift
        wanted=$*
        case $seen in *" $package "*) continue ;; esac
        seen="$seen$package "
        # A library that is here already is used as it is.
        case $package in
        lib*) ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q ' installed$' || continue ;;
        esac
        say "unpacking into $into: $package"
        (cd "$debs" && $APT_GET download "$package" </dev/null >apt.log 2>&1) ||
            fail "apt-get could not fetch $package: $(tail -n 1 "$debs/apt.log")"
        for deb in "$debs"/*.deb; do
            dpkg-deb -x "$deb" "$into"
            # of alternatives the first; no versions
            more=$(dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed -n 's/^ *\(lib[^ (|:]*\).*/\1/p' | tr '\n' ' ')
            wanted="$wanted $more"
            rm -f "$deb"
        done
    done
    rm -rf "$debs"
}

guard=
conf_saved=
conf=/etc/postgresql-common/createcluster.conf
undo() {
    if [ -n "$guard" ]; then rm -f "$guard"; fi
    if [ -n "$conf_saved" ]; then mv -f "$conf_saved" "$conf"; fi
    guard='' conf_saved=''
}

# Packages of servers want to start and enable them: they shall not, on somebody's own machine.
keep_off() {
    for unit in "$@"; do
        if [ -d /run/systemd/system ] && have systemctl; then
            systemctl --quiet disable --now "$unit" >/dev/null 2>&1 || true
        elif have deb-systemd-helper; then
            # A container without systemd: the package leaves links for a systemd that may come.
            deb-systemd-helper disable "$unit" >/dev/null 2>&1 || true
        fi
        if have update-rc.d && [ -e "/etc/init.d/${unit%.*}" ]; then
            update-rc.d "${unit%.*}" disable >/dev/null 2>&1 || true
        fi
    done
}

as_root() {
    trap undo EXIT
    trap 'exit 130' INT TERM
    # What is only unpacked starts nothing.
    if [ "$*" != cyrus ] && [ ! -e /usr/sbin/policy-rc.d ]; then
        guard=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\n# smista install-deps: start no service while packages are installed; removed right after\nexit 101\n' >"$guard"
        chmod 755 "$guard"
    fi
    say "refreshing the list of packages"
    # shellcheck disable=SC2086
    $APT_GET update </dev/null >/dev/null 2>&1 || say "apt-get update failed: going on with the list that is here"

    for thing in "$@"; do
        case $thing in
        cc) install_packages gcc libc6-dev ;;
        c++) install_packages g++ ;;
        python3) install_packages python3 ;;
        dovecot)
            install_packages dovecot-imapd
            keep_off dovecot.socket dovecot.service
            ;;
        cyrus)
            # sasl2-bin: saslpasswd2, which makes the users of a test. No service of it is here that could be started.
            rm -rf "$CYRUS"
            unpack_packages "$CYRUS" cyrus-imapd cyrus-common sasl2-bin libsasl2-modules libsasl2-modules-db
            # found here, wherever the distribution has them
            libraries=$(find "$CYRUS/usr/lib" "$CYRUS/lib" -name '*.so*' -exec dirname {} + 2>/dev/null | sort -u | tr '\n' ':')
            for program in master imapd idled ctl_cyrusdb; do
                lacks=$(LD_LIBRARY_PATH=$libraries ldd "$CYRUS/usr/lib/cyrus/bin/$program" | grep 'not found' || true)
                [ -z "$lacks" ] || fail "Cyrus was unpacked, but $program lacks libraries:$lacks"
            done
            touch "$CYRUS/unpacked"
            ;;
        postgresql)
            # The server alone (postgresql-15, say), not the metapackage, which would bring the next major one day.
            server=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/^ *Depends: \(postgresql-[0-9][0-9]*\)$/\1/p' | head -n 1)
            [ -n "$server" ] || fail "apt knows no PostgreSQL server: is the 'main' section in /etc/apt/sources.list?"
            install_packages postgresql-common
            if [ -e "$conf" ]; then
                conf_saved=$conf.smista-saved
                cp -p "$conf" "$conf_saved"
            else
                conf_saved=
                mkdir -p "${conf%/*}"
            fi
            echo 'create_main_cluster = false' >>"$conf"
            install_packages "$server"
            if [ -n "$conf_saved" ]; then mv -f "$conf_saved" "$conf"; else rm -f "$conf"; fi
            conf_saved=
            keep_off postgresql.service
            ;;
        *) fail "internal: nothing known about '$thing'" ;;
        esac
    done
}

# --- here it begins ----------------------------------------------------------------------------------------------

if [ "${1:-}" = --as-root ]; then
    shift
    as_root "$@"
    exit 0
fi

purpose=${1:-}
case $purpose in
build | demo | test | bench | corpora | fuzz) ;;
*)
    echo "usage: $0 build|demo|test|bench|corpora|fuzz" >&2
    exit 2
    ;;
esac

if ! have cargo; then
    if [ -x "${HOME:-/root}/.cargo/bin/cargo" ]; then
        fail "cargo is in ~/.cargo/bin, but not on the PATH. Run: . \"\$HOME/.cargo/env\""
    fi
    fail "there is no Rust toolchain (cargo). Install one (1.95 or later) as https://rustup.rs says, then start again."
fi

wanted=$(missing "$purpose" | tr '\n' ' ')
[ -n "${wanted% }" ] || exit 0

say "missing on this machine: $wanted"
if ! have apt-get; then
    fail "this script knows only apt (Debian, Ubuntu). Please install by hand: ${wanted}(a C compiler, the PostgreSQL
        server 14 or later under /usr/lib/postgresql/N/bin, Dovecot with IMAP, for tests Cyrus IMAP under $CYRUS), then start again."
fi
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
if [ "$(id -u)" -eq 0 ]; then
    # shellcheck disable=SC2086  # words, on purpose
    sh "$self" --as-root $wanted
elif have sudo; then
    if [ -t 0 ]; then ask=; else ask=-n; fi
    say "this needs root: going on with sudo"
    # shellcheck disable=SC2086
    sudo $ask sh "$self" --as-root $wanted || fail "sudo did not do it. As root, run: sh $self $purpose"
else
    fail "installing needs root, and there is no sudo. As root, run: sh $self $purpose"
fi

still=$(missing "$purpose" | tr '\n' ' ')
[ -z "${still% }" ] || fail "installed, and yet still missing: $still. PostgreSQL must be 14 or later: older releases
        of Debian and Ubuntu do not have it (apt.postgresql.org does)."
say "everything is here now"
