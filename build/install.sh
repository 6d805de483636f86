#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install.sh install|uninstall|commands
#
# commands  installs the commands and their manual pages alone; what has a
#           page in man/ is one. What session-ha-drill is made of goes beside
#           them, into share/session-ha
#
# From the environment: DESTDIR, OUT, LIBEXECDIR, SYSCONFDIR, BINDIR and MANDIR
# of httpd.
# Three homes for configuration, told apart by the folders that are there
# (or by the system, where httpd's own package is not installed):
#   Debian kin   mods-available/NAME.{load,conf}, enabled with a2enmod
#   Fedora kin   conf.modules.d/20-NAME.conf and conf.d/NAME.conf
#   any other    SYSCONFDIR/extra/NAME.conf, to be included by hand
# A configuration file that was edited since it was installed is kept.
set -eu

verb=$1
modules='session_ha proxy_balancer_clone'
commands=$(cd man && for page in *.1; do echo "${page%.1}"; done)
lib=$DESTDIR$LIBEXECDIR
bin=$DESTDIR$BINDIR
man=$DESTDIR$MANDIR/man1
share=$DESTDIR$(dirname "$BINDIR")/share/session-ha
parent=$(dirname "$SYSCONFDIR")
# Of this system, or of the one in DESTDIR.
has() {
    [ -d "$1" ] || [ -d "$DESTDIR$1" ]
}
is_debian_kin() {
    has "$SYSCONFDIR/mods-available" ||
        { [ "$SYSCONFDIR" = /etc/apache2 ] && [ -e /etc/debian_version ]; }
}
if is_debian_kin; then
    home=debian
    conf=$DESTDIR$SYSCONFDIR/mods-available
    load=$conf
elif has "$parent/conf.modules.d"; then
    home=fedora
    conf=$DESTDIR$parent/conf.d
    load=$DESTDIR$parent/conf.modules.d
else
    home=other
    conf=$DESTDIR$SYSCONFDIR/extra
    load=
fi

# What must be loaded before, in the words of a2enmod.
depends_of() {
    case $1 in
    session_ha) echo session ;;
    proxy_balancer_clone) echo proxy_balancer lbmethod_byrequests proxy_http ;;
    esac
}

load_file_of() {
    case $home in
    debian) echo "$load/$1.load" ;;
    # After 00-proxy.conf and 01-session.conf.
    fedora) echo "$load/20-$1.conf" ;;
    esac
}

load_text_of() {
    echo "# Depends: $(depends_of "$1")"
    echo "LoadModule $1_module $LIBEXECDIR/mod_$1.so"
}

put() {
    if [ -e "$2" ] && ! cmp -s "$1" "$2"; then
        install -m 644 "$1" "$2.new"
        echo "  $2 is yours and stays; the new one is $2.new"
    else
        install -m 644 "$1" "$2"
        echo "  $2"
    fi
}

install_commands() {
    mkdir -p "$bin" "$man"
    for name in $commands; do
        # A script as it is, or what was compiled.
        program=tools/$name
        [ -e "$program" ] || program=$OUT/tools/$name
        install -m 755 "$program" "$bin/$name"
        install -m 644 "man/$name.1" "$man/$name.1"
        echo "  $bin/$name"
        echo "  $man/$name.1"
    done
    mkdir -p "$share/drill"
    for path in tools/drill/*.py; do
        install -m 644 "$path" "$share/drill/${path##*/}"
    done
    echo "  $share/drill"
}

# Who enables them on a site that runs has to know before.
say_what_it_does() {
    cat <<END
What these two switch on, for the whole server, once they are enabled:
* SessionHA On, in $conf/session_ha.conf:
  sessions of mod_session_cookie are not read any more, and users log in again.
  With SessionCryptoPassphrase the server refuses to start, or requests
  (HA0307), until SessionHAEncryption is On.
* ProxyCloneRouting On, in $conf/proxy_balancer_clone.conf:
  every balancer with a stickysession is routed, as WebSphere writes cookies.
  Tomcat needs ProxyCloneProfile tomcat there, others their own.
To begin with nothing changed, make these two lines comments first.
END
}

install_all() {
    install_commands
    mkdir -p "$lib" "$conf"
    [ -z "$load" ] || mkdir -p "$load"
    for name in $modules; do
        install -m 644 "$OUT/modules/mod_$name.so" "$lib/mod_$name.so"
        echo "  $lib/mod_$name.so"
        put "conf.d/$name.conf" "$conf/$name.conf"
        if [ -n "$load" ]; then
            load_text_of "$name" >"$(load_file_of "$name")"
            echo "  $(load_file_of "$name")"
        fi
    done
    say_what_it_does
    case $home in
    debian) echo "Now: a2enmod $modules, and restart apache2" ;;
    fedora) echo "Now: restart httpd" ;;
    other)
        echo "Now add to $SYSCONFDIR/httpd.conf, and restart:"
        for name in $modules; do
            load_text_of "$name" | sed -n 's/^LoadModule/    &/p'
            echo "    Include $SYSCONFDIR/extra/$name.conf"
        done ;;
    esac
}

# A module still enabled would keep httpd from starting once its file is gone.
disable() {
    enabled=$DESTDIR$SYSCONFDIR/mods-enabled
    for suffix in load conf; do
        if [ -L "$enabled/$1.$suffix" ]; then
            rm "$enabled/$1.$suffix"
            echo "  $enabled/$1.$suffix"
        fi
    done
    # What a2enmod remembers of it.
    for did in enabled disabled; do
        take "$DESTDIR/var/lib/apache2/module/${did}_by_admin/$1"
    done
}

take() {
    if [ -e "$1" ]; then
        rm "$1"
        echo "  $1"
    fi
}

uninstall_all() {
    for name in $commands; do
        take "$bin/$name"
        take "$man/$name.1"
    done
    if [ -d "$share" ]; then
        rm -r "$share"
        echo "  $share"
    fi
    for name in $modules; do
        [ $home != debian ] || disable "$name"
        take "$lib/mod_$name.so"
        [ -z "$load" ] || take "$(load_file_of "$name")"
        take "$conf/$name.conf.new"
        if [ -e "$conf/$name.conf" ] &&
            ! cmp -s "conf.d/$name.conf" "$conf/$name.conf"; then
            mv "$conf/$name.conf" "$conf/$name.conf.saved"
            echo "  $conf/$name.conf was edited: it is $name.conf.saved now"
        else
            take "$conf/$name.conf"
        fi
    done
}

case $verb in
install) install_all ;;
uninstall) uninstall_all ;;
commands) install_commands ;;
*) echo "usage: install.sh install|uninstall|commands" >&2; exit 2 ;;
esac
