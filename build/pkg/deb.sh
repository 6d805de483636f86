#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# deb.sh build|lint|smoke OUT
#
# build  the packages, from the files of this tree, into OUT/deb
# lint   what lintian says of them; anything is a failure
# smoke  installs them, runs tests/smoke, disables, removes and purges them;
#        the last line is "N passed, N failed"
set -eu

verb=$1
out=$(mkdir -p "$2/deb" && cd "$2/deb" && pwd)
as_root=
[ "$(id -u)" = 0 ] || as_root='sudo -n'

build() {
    tree=$out/tree
    rm -rf "${out:?}"/*
    mkdir -p "$tree"
    # Not git: a release unpacked from an archive is no checkout.
    tar -c --exclude=./out --exclude='./out-*' --exclude=./.git . |
        tar -x -C "$tree"
    cp -R build/pkg/deb "$tree/debian"
    (
        cd "$tree"
        # Nothing of the make that called us.
        unset MAKEFLAGS MAKELEVEL MFLAGS OUT CFLAGS LDFLAGS || true
        dpkg-buildpackage -us -uc -b
    ) >"$out/build.log" 2>&1 || { tail -n 30 "$out/build.log" >&2; exit 1; }
    rm -rf "$tree"
    ls "$out"/*.deb
}

lint() {
    # The bug that a first upload closes is one of Debian's own tracker.
    lintian --allow-root --pedantic --fail-on error,warning,info,pedantic \
        --suppress-tags initial-upload-closes-no-bugs "$out"/*.changes
    echo "lintian: nothing to say"
}

passed=0
ok() {
    passed=$((passed + 1))
    echo "  ok     $*"
}
fail() {
    echo "  FAILED $*"
    echo "$passed passed, 1 failed"
    exit 1
}

# No service shall start on port 80 of whoever builds this.
keep_services_still() {
    guard=/usr/sbin/policy-rc.d
    [ ! -e $guard ] || return 0
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $guard >/dev/null
    $as_root chmod 755 $guard
    # shellcheck disable=SC2064  # as_root is known now
    trap "$as_root rm -f $guard" EXIT
    trap 'exit 130' INT TERM
}

# apt VERB...: quiet, unless it fails
apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get "$@" -q -y \
        -o DPkg::Lock::Timeout=300 >"$out/apt.log" 2>&1 </dev/null ||
        { tail -n 20 "$out/apt.log" >&2; fail "apt-get $1"; }
}

# What of them is on this machine.
left_behind() {
    find /etc/apache2 /usr/lib/apache2 /var/lib/apache2 /usr/bin \
        /usr/share/man /usr/share/doc -name '*session[-_]ha*' -o \
        -name '*proxy[-_]balancer[-_]clone*' -o -name 'clonectl*'
    find /usr/share -maxdepth 1 -name 'session-ha*'
}

smoke() {
    packages=''
    names=''
    for path in "$out"/*.deb; do
        name=${path##*/}
        name=${name%%_*}
        case $name in *-dbgsym) continue ;; esac
        packages="$packages $path"
        names="$names $name"
    done
    keep_services_still
    # shellcheck disable=SC2086  # lists, here and below
    apt install --no-install-recommends apache2 curl $packages
    ok "they install"
    for page in man/*.1; do
        name=${page#man/}
        name=${name%.1}
        command -v "$name" >/dev/null || fail "$name is installed"
        dpkg -L session-ha-tools | grep -q "/man1/$name.1.gz" ||
            fail "$name has a manual page"
    done
    ok "commands and manual pages are there"
    $as_root sh build/pkg/deb/tests/smoke >"$out/smoke.log" || {
        cat "$out/smoke.log"
        exit 1
    }
    grep '^  ok ' "$out/smoke.log"
    passed=$((passed + $(grep -c '^  ok ' "$out/smoke.log")))
    $as_root a2dismod -q -f session_ha proxy_balancer_clone
    $as_root apache2ctl -t >/dev/null 2>&1 || fail "httpd without them"
    ok "they are disabled, and httpd does without them"
    $as_root a2enmod -q session_ha proxy_balancer_clone
    # shellcheck disable=SC2086
    apt remove $names
    $as_root apache2ctl -t >/dev/null 2>&1 || fail "httpd when removed"
    ok "they are removed while enabled, and httpd does without them"
    # shellcheck disable=SC2086
    apt purge $names
    left=$(left_behind)
    [ -z "$left" ] || fail "nothing is left when purged: $left"
    ok "nothing is left when purged"
    echo "$passed passed, 0 failed"
}

case $verb in
build | lint | smoke) "$verb" ;;
*) echo "usage: deb.sh build|lint|smoke OUT" >&2; exit 2 ;;
esac
