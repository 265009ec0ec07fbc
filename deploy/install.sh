#!/bin/sh
# Installs what `make build` made: program, systemd unit, user, directories, documents and the sample configuration as a
# document. Starts nothing, enables nothing, touches no configuration. DESTDIR for packagers (then no user is made).
set -eu
cd "$(dirname "$0")/.."

root=${DESTDIR:-}
program=target/release/smista
if [ ! -x "$program" ]; then
    echo "there is no $program yet: run 'make build' first (not as root)" >&2
    exit 69
fi
if [ -z "$root" ] && [ "$(id -u)" -ne 0 ]; then
    echo "installing needs root: sudo make install (or DESTDIR=... for a package)" >&2
    exit 77
fi

doc=$root/usr/share/doc/smista
install -D -m 755 "$program" "$root/usr/bin/smista"
install -D -m 644 deploy/systemd/smista.service "$root/usr/lib/systemd/system/smista.service"
install -D -m 644 deploy/systemd/smista.sysusers.conf "$root/usr/lib/sysusers.d/smista.conf"
install -D -m 644 deploy/systemd/smista.tmpfiles.conf "$root/usr/lib/tmpfiles.d/smista.conf"
install -D -m 644 deploy/systemd/smista.service.d/credentials.conf.example "$doc/credentials.conf.example"
install -D -m 644 LICENSE "$doc/LICENSE"
for from in README.md CHANGELOG.md docs config; do
    find "$from" -type f | while IFS= read -r file; do
        # docs/operations/install.md -> operations/install.md: where the unit's Documentation= points
        install -D -m 644 "$file" "$doc/${file#docs/}"
    done
done

if [ -z "$root" ]; then
    if command -v systemd-sysusers >/dev/null; then systemd-sysusers smista.conf; fi
    if command -v systemd-tmpfiles >/dev/null; then systemd-tmpfiles --create smista.conf; fi
    if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
    echo "installed. Next: /etc/smista (sample: /usr/share/doc/smista/config), then 'smista check';"
    echo "see /usr/share/doc/smista/operations/install.md"
fi
