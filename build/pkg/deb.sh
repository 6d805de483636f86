#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# deb.sh build|lint|smoke OUT
#
# build  both packages, from the files of this tree, into OUT/deb
# lint   what lintian says of them; anything is a failure
# smoke  installs them, runs tests/smoke, disables, removes and purges them
set -eu

verb=$1
out=$(mkdir -p "$2/deb" && cd "$2/deb" && pwd)
as_root=
[ "$(id -u)" = 0 ] || as_root='sudo -n'

build() {
    tree=$out/tree
    rm -rf "$out"/*
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
    lintian --fail-on error,warning,info \
        --suppress-tags initial-upload-closes-no-bugs "$out"/*.changes
    echo "lintian: nothing to say"
}

smoke() {
    names='libapache2-mod-session-ha libapache2-mod-proxy-balancer-clone'
    # No service shall start on port 80 of whoever builds this.
    guard=/usr/sbin/policy-rc.d
    if [ ! -e $guard ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $guard >/dev/null
        $as_root chmod 755 $guard
        # shellcheck disable=SC2064  # as_root is known now
        trap "$as_root rm -f $guard" EXIT
    fi
    # shellcheck disable=SC2086,SC2012  # our names, without spaces
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
        --no-install-recommends -o DPkg::Lock::Timeout=300 apache2 curl \
        $(ls "$out"/*.deb | grep -v dbgsym) >"$out/install.log" 2>&1 ||
        { tail -n 20 "$out/install.log" >&2; exit 1; }
    $as_root sh build/pkg/deb/tests/smoke
    $as_root a2dismod -q -f session_ha proxy_balancer_clone
    $as_root apache2ctl -t 2>&1 | tail -n 1
    # shellcheck disable=SC2086  # two names
    $as_root apt-get purge -q -y $names >>"$out/install.log" 2>&1
    left=$(find /etc/apache2 /usr/lib/apache2 /var/lib/apache2 \
               -name '*session_ha*' -o -name '*proxy_balancer_clone*')
    if [ -n "$left" ]; then
        echo "left behind: $left" >&2
        exit 1
    fi
    echo "smoke: installed, enabled, answered, disabled, purged"
}

case $verb in
build | lint | smoke) "$verb" ;;
*) echo "usage: deb.sh build|lint|smoke OUT" >&2; exit 2 ;;
esac
