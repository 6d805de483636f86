#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# deps.sh [--quiet] NEED...     NEED: build, demo, check, san, deb, and for
# the benches bench, rivals, routers
#
# Installs what is missing for these needs from the distribution's packages:
# apt on Debian and Ubuntu, dnf on Fedora and RHEL kin. Looks for the things
# themselves, not for packages, so a compiler or an httpd of your own is
# enough, and a machine that has all is done in a moment.
#
# Tried on Debian 12 only. The dnf names are from Fedora's package lists; on
# RHEL kin, libmemcached and check are in CRB or EPEL, to be enabled before.
#
# httpd is installed as a program (apache2-bin), not as a service: nothing
# starts to listen on port 80 because somebody wanted to look at a demo.
set -eu

APXS=${APXS:-apxs}
quiet=no
if [ "${1:-}" = --quiet ]; then
    quiet=yes
    shift
fi

# An apxs named by its path is the one wanted; no package brings it.
case $APXS in
*/*)
    if [ ! -x "$APXS" ]; then
        echo "error: APXS=$APXS: no such program" >&2
        exit 1
    fi ;;
esac

# need | probe | apt packages | dnf packages
table() {
    cat <<'END'
build|tool cc|gcc libc6-dev|gcc
build|tool nm|binutils|binutils
build|tool make|make|make
build|tool pkg-config|pkg-config|pkgconf-pkg-config
build|tool python3|python3|python3
build|tool APXS|apache2-dev|httpd-devel apr-devel apr-util-devel
build|library libmemcached|libmemcached-dev|libmemcached-awesome-devel
build|library libcrypto|libssl-dev|openssl-devel
demo|httpd|apache2-bin|httpd
demo|module mod_proxy_balancer|apache2-bin|httpd
demo|module mod_session|apache2-bin|mod_session
demo|module mod_ssl|apache2-bin|mod_ssl
demo|tool memcached|memcached|memcached
check|library check|check|check-devel
check|python pytest|python3-pytest|python3-pytest
check|python xdist|python3-pytest-xdist|python3-pytest-xdist
check|tool openssl|openssl|openssl
check|tool htpasswd|apache2-utils|httpd-tools
check|tool ab|apache2-utils|httpd-tools
check|tool curl|curl|curl
check|tool git|git|git
check|tool chromedriver|chromium chromium-driver|chromium chromedriver
check|tomcat|tomcat10-common default-jre-headless|tomcat
check|jar eclipse-jdt-core|libeclipse-jdt-core-java|ecj
check|jar jetty9-servlet|libjetty9-java|jetty-server
check|python gunicorn|python3-gunicorn|python3-gunicorn
bench|tool wrk|wrk|wrk
rivals|postgres|postgresql|postgresql-server
rivals|php_fpm|php-fpm|php-fpm
rivals|php_memcached|php-memcached|php-pecl-memcached
rivals|dbd pgsql|libaprutil1-dbd-pgsql|apr-util-pgsql
rivals|dbd sqlite3|libaprutil1-dbd-sqlite3|apr-util-sqlite
routers|tool haproxy|haproxy|haproxy
routers|tool nginx|nginx|nginx
deb|tool dpkg-buildpackage|dpkg-dev|dpkg-dev
deb|tool dh|debhelper|debhelper
deb|tool lintian|lintian|lintian
san|tool clang|clang libclang-rt-dev|clang compiler-rt
san|tool valgrind|valgrind|valgrind
san|tool cppcheck|cppcheck|cppcheck
san|runtime libasan.so|gcc|libasan
san|runtime libubsan.so|gcc|libubsan
san|runtime libtsan.so|gcc|libtsan
END
}

# The server and its modules belong to the httpd that apxs names.
of_apxs() { "$APXS" -q "$1" 2>/dev/null; }

has() {
    case $1 in
    tool)
        if [ "$2" = APXS ]; then
            command -v "$APXS" >/dev/null
        else
            PATH=$PATH:/usr/sbin:/sbin command -v "$2" >/dev/null
        fi ;;
    library) pkg-config --exists "$2" 2>/dev/null ;;
    python) ${PYTHON:-/usr/bin/python3} -c "import $2" 2>/dev/null ;;
    tomcat) [ -e /usr/share/tomcat10/bin/catalina.sh ] ||
            [ -e /usr/share/tomcat/bin/catalina.sh ] ;;
    jar) [ -e "/usr/share/java/$2.jar" ] ;;
    httpd) [ -x "$(of_apxs SBINDIR)/$(of_apxs PROGNAME)" ] ;;
    module) [ -e "$(of_apxs LIBEXECDIR)/$2.so" ] ;;
    dbd)
        lib=$("$(of_apxs APU_CONFIG)" --prefix)/lib
        ls "$lib"*/apr-util-1/apr_dbd_"$2".so \
           "$lib"/*/apr-util-1/apr_dbd_"$2".so 2>/dev/null | grep -q . ;;
    postgres) ls /usr/lib/postgresql/*/bin/postgres /usr/bin/postgres \
                  /usr/pgsql-*/bin/postgres 2>/dev/null | grep -q . ;;
    php_fpm) ls /usr/sbin/php-fpm* 2>/dev/null | grep -q . ;;
    php_memcached) ls /usr/lib/php/*/memcached.so \
                  /usr/lib64/php/modules/memcached.so 2>/dev/null |
                  grep -q . ;;
    runtime) [ -e "$(cc -print-file-name="$2" 2>/dev/null)" ] ;;
    esac
}

# Prints the lines of the table whose probe fails.
missing() {
    table | while IFS='|' read -r need probe apt dnf; do
        case " $* " in
        *" $need "*)
            # shellcheck disable=SC2086  # a probe is words
            has $probe </dev/null || echo "$need|$probe|$apt|$dnf" ;;
        esac
    done
}

lacking=$(missing "$@")
if [ -z "$lacking" ]; then
    [ $quiet = yes ] || echo "deps: nothing is missing for: $*"
    exit 0
fi

if command -v apt-get >/dev/null; then
    column=3
elif command -v dnf >/dev/null; then
    column=4
else
    echo "error: this machine has neither apt-get nor dnf. Needed are:" >&2
    echo "$lacking" | cut -d'|' -f2 | sed 's/^/  /' >&2
    exit 1
fi
packages=$(echo "$lacking" | cut -d'|' -f$column | tr ' ' '\n' | sort -u |
           tr '\n' ' ')
echo "deps: installing for $*: $packages"

as_root=
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
    # Without a terminal nobody can type a password.
    [ -t 0 ] || as_root='sudo -n'
    if ! command -v sudo >/dev/null; then
        echo "error: not root, and there is no sudo. As root, run:" >&2
        [ $column = 4 ] && echo "  dnf install $packages" >&2 ||
            echo "  apt-get install $packages" >&2
        exit 1
    fi
fi

# Debian's packages start what they install; what is wanted here are the
# programs, and the tests start their own on ports of their own.
install_apt() {
    $as_root apt-get update -q
    guard=/usr/sbin/policy-rc.d
    if [ ! -e $guard ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $guard >/dev/null
        $as_root chmod 755 $guard
        # shellcheck disable=SC2064  # as_root is known now
        trap "$as_root rm -f $guard" EXIT
        trap 'exit 130' INT TERM
    fi
    # shellcheck disable=SC2086  # packages is a list
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
        --no-install-recommends -o DPkg::Lock::Timeout=300 $packages
}

# shellcheck disable=SC2086
install_dnf() {
    $as_root dnf install -y $packages
}

log=$(mktemp)
if [ $column = 3 ]; then
    install_apt >"$log" 2>&1 </dev/null && rc=0 || rc=$?
else
    install_dnf >"$log" 2>&1 </dev/null && rc=0 || rc=$?
fi
if [ $rc != 0 ]; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    echo "error: the packages could not be installed: $packages" >&2
    exit 1
fi
rm -f "$log"

lacking=$(missing "$@")
if [ -n "$lacking" ]; then
    echo "error: still missing after the installation:" >&2
    echo "$lacking" | cut -d'|' -f2 | sed 's/^/  /' >&2
    exit 1
fi
echo "deps: done"
