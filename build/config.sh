#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# config.sh NEED...: install what is missing, then write $OUT/config.mk with
# the answers of apxs, apr-1-config and pkg-config, unless they are the same.
set -eu

here=$(dirname "$0")
sh "$here/deps.sh" --quiet "$@"

ask() { "$APXS" -q "$1" 2>/dev/null || true; }

# 1.1.3 and older report a time-out as "not found" and can return the value
# of another key after one.
need=1.1.4
if ! pkg-config --atleast-version=$need libmemcached; then
    cat >&2 <<END
error: libmemcached $(pkg-config --modversion libmemcached 2>/dev/null ||
                      echo '(none found)') is too old, $need is needed:
       older ones report a time-out as "not found", so that an unreachable
       memcached would log users out, and can return another key's value.
END
    exit 1
fi

mkdir -p "$OUT"
new=$OUT/config.mk.$$
trap 'rm -f "$new"' EXIT
apr=$(ask APR_CONFIG)
apu=$(ask APU_CONFIG)
sbin=$(ask SBINDIR)
httpd=$sbin/$(ask PROGNAME)
# Not every apxs knows where manual pages are.
man=$(ask mandir)
bin=$(ask BINDIR)
has_check=$(pkg-config --exists check && echo yes || echo no)
as_system() { echo " $*" | sed 's/ -I */ -isystem /g'; }

cat >"$new" <<END
APXS_CPPFLAGS := $(ask EXTRA_CPPFLAGS)
APXS_LDFLAGS := $(ask LDFLAGS)
APR_CPPFLAGS := $("$apr" --cppflags)
APR_INCLUDES := $(as_system "$("$apr" --includes)")
APU_INCLUDES := -isystem $("$apu" --includedir)
APR_LIBS := $("$apr" --link-ld)
APU_LIBS := $("$apu" --link-ld)
HTTPD_INCLUDES := -isystem $(ask INCLUDEDIR)
HTTPD := $httpd
LIBEXECDIR := $(ask LIBEXECDIR)
BINDIR := $bin
MANDIR := ${man:-$(dirname "$bin")/share/man}
SYSCONFDIR := $(ask SYSCONFDIR)
MEMCACHED_CFLAGS := $(pkg-config --cflags libmemcached)
MEMCACHED_LIBS := $(pkg-config --libs libmemcached |
                    sed 's/-lmemcachedutil//;s/-lsasl2//;s/-pthread//')
CHECK_CFLAGS := $([ $has_check = yes ] && pkg-config --cflags check)
CHECK_LIBS := $([ $has_check = yes ] && pkg-config --libs check)
END
if ! cmp -s "$new" "$OUT/config.mk"; then
    mv "$new" "$OUT/config.mk"
fi
