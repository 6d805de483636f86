# SPDX-License-Identifier: Apache-2.0
"""Start, refusal to start, graceful restart, and every wrong directive."""

import os
import re
import resource
import subprocess

import pytest

from client import Jar
from httpd import documented, module_folder, named, our_module
from process import free_port, wait_until
from session_site import (APP, HERE, Site, login, login_conf, nodes_conf,
                          read_secrets, secret_file)

SERVER = "SessionHAServer name=n address=127.0.0.1:11211"


def one_line(text):
    return " ".join(text.split())


WRONG = [
    ("SessionHAServer", "SessionHAServer needs name="),
    ("SessionHAServer name=a", "SessionHAServer needs address="),
    ("SessionHAServer address=127.0.0.1:1", "SessionHAServer needs name="),
    ("SessionHAServer 127.0.0.1:1",
     "words of the form key=value, not '127.0.0.1:1'"),
    ("SessionHAServer name=a address=127.0.0.1:1 colour=red",
     "knows name, address, zone and weight, not 'colour'"),
    ("SessionHAServer name=a name=b address=127.0.0.1:1",
     "has name= twice, the second is 'b'"),
    ("SessionHAServer name=a,b address=127.0.0.1:1", "not 'a,b'"),
    ("SessionHAServer name= address=127.0.0.1:1", "not ''"),
    (f"SessionHAServer name={'n' * 65} address=127.0.0.1:1",
     "name must be 1 to 64 letters"),
    ("SessionHAServer name=a zone=x/y address=127.0.0.1:1",
     "zone must be 1 to 64 letters"),
    ("SessionHAServer name=a address=127.0.0.1",
     "address must be host:port, [v6]:port or unix:/path, not '127.0.0.1'"),
    ("SessionHAServer name=a address=127.0.0.1:0", "not '127.0.0.1:0'"),
    ("SessionHAServer name=a address=127.0.0.1:65536", "'127.0.0.1:65536'"),
    ("SessionHAServer name=a address=127.0.0.1:12x", "'127.0.0.1:12x'"),
    ("SessionHAServer name=a address=unix:relative", "'unix:relative'"),
    ("SessionHAServer name=a address=127.0.0.1:1 weight=0",
     "weight must be between 1 and 100, not '0'"),
    ("SessionHAServer name=a address=127.0.0.1:1 weight=101", "not '101'"),
    ("SessionHAServer name=a address=127.0.0.1:1 weight=5x", "not '5x'"),
    (f"{SERVER}\nSessionHAServer name=n address=127.0.0.1:2",
     "name must be new, 'n' is the node at 127.0.0.1:11211"),
    (f"{SERVER}\nSessionHAServer name=m address=127.0.0.1:11211",
     "address must be new, '127.0.0.1:11211' is node n"),
    ("\n".join(f"SessionHAServer name=n{i} address=127.0.0.1:{i + 1}"
               for i in range(65)),
     "may stand 64 times, 'name=n64' is one too many"),
    (f"<VirtualHost *>\n{SERVER}\n</VirtualHost>",
     "SessionHAServer cannot occur within <VirtualHost> section"),
    ("<VirtualHost *>\nSessionHASecretFile x\n</VirtualHost>",
     "SessionHASecretFile cannot occur within <VirtualHost> section"),
    ("<VirtualHost *>\nSessionHAMemory 2000000\n</VirtualHost>",
     "SessionHAMemory cannot occur within <VirtualHost> section"),
    ("<Location />\nSessionHAReplicas 1\n</Location>",
     "SessionHAReplicas not allowed"),
    ("SessionHASecretFile", "SessionHASecretFile takes one argument, the "
     "file of secrets"),
    ("SessionHAMemory 1", "SessionHAMemory must be between 1048576 and "
     "17179869184 bytes, not '1'"),
    ("SessionHAMemory 32M", "not '32M'"),
    ("SessionHAMemory 17179869185", "not '17179869185'"),
    ("SessionHAEncryption Sometimes",
     "SessionHAEncryption must be On, Off or Migrate, not 'Sometimes'"),
    ("<VirtualHost *>\nSessionHAEncryption On\n</VirtualHost>",
     "SessionHAEncryption cannot occur within <VirtualHost> section"),
    ("SessionHARefillRate -1",
     "SessionHARefillRate must be between 0 and 10000, not '-1'"),
    ("SessionHARefillRate 10001", "not '10001'"),
    ("SessionHARefillRate fast", "not 'fast'"),
    ("<VirtualHost *>\nSessionHARefillRate 1\n</VirtualHost>",
     "SessionHARefillRate cannot occur within <VirtualHost> section"),
    ("SessionHAReplicas 0",
     "SessionHAReplicas must be between 1 and 8, not '0'"),
    ("SessionHAReplicas 9", "not '9'"),
    ("SessionHAReplicas two", "not 'two'"),
    ("SessionHAWriteAcks most", "SessionHAWriteAcks must be one, majority, "
     "all or a number between 1 and 8, not 'most'"),
    ("SessionHAWriteAcks 0", "not '0'"),
    ("SessionHAWriteAcks 9", "not '9'"),
    ("<Location />\nSessionHAWriteAcks 1\n</Location>",
     "SessionHAWriteAcks not allowed"),
    ("SessionHASaveFailurePolicy maybe",
     "SessionHASaveFailurePolicy must be serve or fail, not 'maybe'"),
    ("SessionHACopiesHeader X:", "SessionHACopiesHeader must be a header's "
     "name or None, not 'X:'"),
    ("SessionHACopiesHeader content-type", "cannot be 'content-type'"),
    ("SessionHATimeBudget 9ms",
     "SessionHATimeBudget must be between 10ms and 10s"),
    ("SessionHATimeBudget 11s", "not '11s'"),
    ("SessionHATimeBudget 250msx", "not '250msx'"),
    ("SessionHATimeBudget soon", "not 'soon'"),
    ("SessionHAZone a/b", "SessionHAZone must be 1 to 64 letters, digits, "
     "'.', '-' or '_', not 'a/b'"),
    ("<VirtualHost *>\nSessionHAZone east\n</VirtualHost>",
     "SessionHAZone cannot occur within <VirtualHost> section"),
    ("SessionHAFarWrites later",
     "SessionHAFarWrites must be sync or async, not 'later'"),
    ("<Location />\nSessionHAFarWrites async\n</Location>",
     "SessionHAFarWrites not allowed"),
    ("SessionHA Maybe", "SessionHA must be On or Off, not 'Maybe'"),
    ("SessionHA On Off", "SessionHA takes one argument, On to keep"),
    ("SessionHACookieName a=b",
     "SessionHACookieName must be a token, without spaces"),
    ('SessionHACookieName "a b"', "not 'a b'"),
    (f"SessionHACookieName {'c' * 257}",
     "SessionHACookieName may have 256 characters, not 257: 'ccc"),
    ('SessionHACookieName ""', "SessionHACookieName takes one argument, "
     "the name"),
    ("SessionHACookiePath shop",
     "SessionHACookiePath must begin with '/' and hold no space, ';' or ',', "
     "not 'shop'"),
    ("SessionHACookiePath /a;b", "not '/a;b'"),
    ("SessionHACookieDomain exa_mple.com",
     "SessionHACookieDomain must be a host name or None, not 'exa_mple.com'"),
    ("SessionHACookieDomain example..com", "not 'example..com'"),
    ("SessionHACookieDomain example.com/x", "not 'example.com/x'"),
    ("SessionHACookieSameSite Loose",
     "SessionHACookieSameSite must be Lax, Strict or None, not 'Loose'"),
    ("SessionHACookieSecure Perhaps",
     "SessionHACookieSecure must be On, Off or Auto, not 'Perhaps'"),
    ("SessionHACookieHttpOnly 1", "SessionHACookieHttpOnly must be On or "
     "Off, not '1'"),
    ("SessionHACookieHttpOnly On please",
     "SessionHACookieHttpOnly takes one argument, On to hide"),
    ("SessionHACookieSecure Off\nSessionHACookieSameSite None",
     "SessionHACookieSameSite: browsers refuse a cookie with SameSite=None"),
    ("SessionHACookieSameSite None\nSessionHACookieSecure Off",
     "SessionHACookieSecure: browsers refuse"),
    ('SessionHARequestHeader "X Session"',
     "SessionHARequestHeader must be a header's name or None, not 'X Session'"),
    ("SessionHARequestHeader X:", "not 'X:'"),
    ("SessionHARequestHeader cookie", "cannot be 'cookie'"),
    ('SessionHADeltaHeader "X Delta"',
     "SessionHADeltaHeader must be a header's name or None, not 'X Delta'"),
    ("SessionHADeltaHeader content-type", "cannot be 'content-type'"),
    ('SessionHAControlHeader "X Control"',
     "SessionHAControlHeader must be a header's name or None, not "
     "'X Control'"),
    ("SessionHAControlHeader Set-Cookie", "cannot be 'Set-Cookie'"),
    ("SessionHARotateOn", "SessionHARotateOn needs names of attributes"),
    ("SessionHARotateOn user None", "or None alone, not 'None'"),
    ('SessionHARotateOn "a user"', "not 'a user'"),
    ("SessionHARotateGrace 6m", "SessionHARotateGrace must be between 0 and "
     "5m, with a unit (ms, s, m, h, d; default s), not '6m'"),
    ("SessionHARotateGrace soon", "not 'soon'"),
    ("SessionHAUnknownPolicy guess",
     "SessionHAUnknownPolicy must be fail or anonymous, not 'guess'"),
    ("SessionHAPerUser Perhaps",
     "SessionHAPerUser must be On or Off, not 'Perhaps'"),
    ("SessionHAPerUser On x", "SessionHAPerUser takes one argument"),
    ("SessionHAExclusive Perhaps",
     "SessionHAExclusive must be On or Off, not 'Perhaps'"),
    ("SessionHAExclusive On x", "SessionHAExclusive takes one argument"),
    ("SessionHAExclusiveWait 61s",
     "SessionHAExclusiveWait must be between 0 and 60s"),
    ("SessionHAExclusiveWait -1s", "not '-1s'"),
    ("SessionHAIdleLimit 0", "SessionHAIdleLimit must be between 1s and "
     "365d"),
    ("SessionHAIdleLimit 366d", "not '366d'"),
    ("SessionHAIdleLimit 30 m", "SessionHAIdleLimit takes one argument"),
    ("SessionHALifetime -1", "SessionHALifetime must be between 1s and "
     "365d, or 0 for no limit"),
]

CONTRADICTIONS = [
    ("SessionHA On\nSessionHAReplicas 2",
     "HA0103: main server: SessionHAReplicas 2, but there is no "
     "SessionHAServer"),
    (f"SessionHA On\n{SERVER}\nSessionHASecretFile @\n"
     "<VirtualHost *>\nSessionHAReplicas 3\n</VirtualHost>",
     r"HA0103: .*httpd.conf.*:\d+: SessionHAReplicas 3, but there is only 1 "
     "SessionHAServer"),
    ("SessionHA On\nSessionHAWriteAcks 2",
     "HA0120: .*SessionHAWriteAcks 2, but a session has 1 copy"),
    (f"SessionHA On\n{SERVER}\nSessionHAServer name=m "
     "address=127.0.0.1:11212\nSessionHASecretFile @\n"
     "<VirtualHost *>\nSessionHAWriteAcks 3\n</VirtualHost>",
     r"HA0120: .*httpd.conf.*:\d+: SessionHAWriteAcks 3, but a session has 2 "
     "copies"),
    (f"SessionHA On\n{SERVER}",
     "HA0106: SessionHAServer needs SessionHASecretFile.*"
     "openssl rand -base64 32"),
    ("SessionHA On\nSessionHACookieSecure Off\n<Location /x>\n"
     "SessionHACookieSameSite None\n</Location>", "HA0104: .*in a section"),
    ("SessionHACookieSecure Off\n<VirtualHost *>\nSessionHA On\n"
     "SessionHACookieSameSite None\n</VirtualHost>",
     r"HA0104: .*httpd.conf.*:\d+"),
    (f"SessionHA On\n{SERVER} zone=east\nSessionHAServer name=m "
     "address=127.0.0.1:11212 zone=west\nSessionHASecretFile @\n"
     "SessionHAZone south",
     "HA0130: SessionHAZone south: no SessionHAServer is in that zone; "
     "there are: east, west"),
    ("SessionHA On\nSessionHAZone south", "HA0130: .*; none has a zone="),
    (f"SessionHA On\n{SERVER} zone=east\nSessionHASecretFile @\n"
     "<VirtualHost *>\nSessionHAFarWrites async\n</VirtualHost>",
     r"HA0131: .*httpd.conf.*:\d+: SessionHAFarWrites async needs "
     "SessionHAZone"),
    ("SessionHA On\nSessionHADeltaHeader X-Out\nSessionHAControlHeader x-out",
     "HA0122: main server: SessionHADeltaHeader and SessionHAControlHeader "
     "both name the header x-out: "),
    ("SessionHA On\nSessionHeader X-Out\n<Location /x>\n"
     "SessionHADeltaHeader X-Out\n</Location>",
     "HA0122: main server: SessionHADeltaHeader and SessionHeader both name "
     "the header X-Out in a section: "),
    ("SessionHA On\nSessionHAControlHeader X-Out\n<VirtualHost *>\n"
     "<Location /x>\nSessionHeader X-Out\n</Location>\n</VirtualHost>",
     r"HA0122: .*httpd.conf.*:\d+: SessionHAControlHeader and SessionHeader"),
    ("LoadModule session_crypto_module @@\nSessionCryptoPassphrase x\n"
     "<Location /x>\nSessionHA On\n</Location>",
     r"HA0105: SessionCryptoPassphrase at .*:\d+ asks for encrypted"),
    ("LoadModule session_crypto_module @@\nSessionCryptoPassphrase x\n"
     "<Location /x>\nSessionHA \"On\"\n</Location>",
     "HA0105: .*but SessionHA On at"),
]


@pytest.fixture
def idle(httpd):
    return httpd(start=False)


@pytest.mark.parametrize("conf, says", WRONG,
                         ids=[f"{i}-{c.split()[0]}" for i, (c, _) in
                              enumerate(WRONG)])
def test_a_wrong_directive_is_refused_and_says_why(idle, conf, says):
    code, text = idle.configtest(conf)
    assert code != 0
    assert says in one_line(text)


def test_no_directive_is_left_out_of_the_wrong_ones():
    assert not documented("mod_session_ha") - named(WRONG)


@pytest.mark.parametrize("conf, says", CONTRADICTIONS)
def test_what_two_directives_contradict_is_refused(httpd, workdir, conf,
                                                   says):
    conf = conf.replace("@@", module_folder() + "/mod_session_crypto.so")
    conf = conf.replace("@", secret_file(workdir))
    server = httpd(conf, start=False)
    code, text = server.configtest()
    assert code != 0
    assert re.search(says, one_line(text)), text
    assert re.search(says, one_line(server.refuses_to_start()))


def test_a_good_configuration_passes_the_test(idle, workdir):
    code, text = idle.configtest(f"""
        {SERVER} zone=east weight=2
        SessionHAServer address=[::1]:11212 name=m zone=west
        SessionHAServer name=u address=unix:/run/memcached.sock
        SessionHASecretFile {secret_file(workdir)}
        SessionHAMemory 1048576
        SessionHAEncryption migrate
        SessionHAReplicas 3
        SessionHATimeBudget 200ms
        SessionHA On
        SessionHACookieName __Host-shop
        SessionHACookiePath /
        SessionHACookieDomain None
        SessionHACookieSameSite none
        SessionHACookieSecure auto
        SessionHACookieHttpOnly off
        SessionHARequestHeader X-Session
        SessionHADeltaHeader X-Session-Delta
        SessionHAControlHeader X-Session-Control
        SessionHARotateOn *-user role
        SessionHARotateGrace 0
        SessionHAUnknownPolicy Anonymous
        SessionHAExclusive on
        SessionHAPerUser on
        SessionHAExclusiveWait 0
        SessionHAIdleLimit 1h
        SessionHALifetime 12h
        <Location /x>
            SessionHA Off
            SessionHARequestHeader None
            SessionHADeltaHeader None
            SessionHAControlHeader None
            SessionHARotateOn None
            SessionHARotateGrace 5m
            SessionHALifetime 0
        </Location>""")
    assert (code, text) == (0, "Syntax OK\n")


def test_session_ha_without_mod_session_says_what_is_missing(httpd):
    server = httpd("", start=False)
    conf = server.write_conf()
    with open(conf) as f:
        lines = [line for line in f.read().splitlines()
                 if not line.startswith("LoadModule session")
                 and not line.startswith("LoadModule auth_form")]
    with open(conf, "w") as f:
        f.write("\n".join(lines) + "\nLoadModule session_ha_module "
                + our_module("session_ha") + "\nSessionHA On\n")
    code, text = check(server, conf)
    assert code != 0
    assert "HA0101: SessionHA On needs mod_session, which is not loaded: " \
           "add LoadModule" in one_line(text)
    with open(conf, "a") as f:
        f.write(f"LoadModule session_module {module_folder()}"
                "/mod_session.so\n")
    code, text = check(server, conf)
    assert "is not loaded before mod_session_ha: put its LoadModule line " \
           "first" in one_line(text)


def check(server, conf):
    done = subprocess.run(server._argv(conf) + ["-t"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


# ---- the file of secrets -----------------------------------------------------

BAD_SECRETS = [
    ("missing", None, 0o600, "HA0107: .*/secrets cannot be read"),
    ("empty", "", 0o600, "HA0109: [^,]*/secrets: holds no secret; "),
    ("comments", "# nothing\n\n", 0o600, "HA0109: .*: holds no secret; "),
    ("short", "tooshort\n", 0o600, "HA0109: .*line 1: "),
    ("second short", "x" * 40 + "\ntooshort\n", 0o600,
     "HA0109: .*line 2: "),
    ("repeated", "x" * 40 + "\n" + "x" * 40 + "\n", 0o600,
     "HA0109: .*line 2: "),
    ("binary", "x" * 40 + "\x01\n", 0o600, "HA0109: .*line 1: "),
    ("too many", "\n".join(f"{i}" * 40 for i in range(9)), 0o600,
     "HA0109: "),
    ("huge", "x" * 40 + "\n" + "#" * 40000, 0o600,
     r"\] HA0107: .*/secrets is too large"),
    ("folder", None, 0o700,
     r"\] HA0107: .*/secrets is no regular file"),
    ("readable", "x" * 40 + "\n", 0o644,
     "HA0108: .*every user of this host"),
]


@pytest.mark.parametrize("name, text, mode, says", BAD_SECRETS,
                         ids=[b[0] for b in BAD_SECRETS])
def test_a_bad_file_of_secrets_stops_the_start(httpd, workdir, name, text,
                                               mode, says):
    path = os.path.join(workdir, "secrets")
    if name == "folder":
        os.mkdir(path, mode)
    elif text is not None:
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
    server = httpd(f"SessionHA On\nSessionHASecretFile {path}\n",
                   start=False)
    said = server.refuses_to_start()
    assert re.search(says, said), said
    assert "xxxx" not in said and "tooshort" not in said, "a secret is told"
    code, text = server.configtest()
    assert code != 0 and re.search(says, text)


def test_a_relative_path_is_below_the_server_root(httpd, jar):
    server = httpd(f"SessionHA On\n{HERE}\nSessionHASecretFile secrets\n",
                   start=False)
    secret_file(server.dir)
    s = Site(server.start())
    s.set(jar, a=1)
    assert s.session(jar) == {"a": "1"}


def test_secrets_rotate_by_graceful_restarts(httpd, workdir, jar):
    path = secret_file(workdir)
    s = Site(httpd(f"SessionHA On\n{HERE}\nSessionHASecretFile {path}\n"))
    s.set(jar, a=1)
    secret_file(workdir, *read_secrets(path))
    s.server.graceful()
    wait_until(lambda: s.server.get("/cgi-bin/app?b=1").status == 200)
    assert s.session(jar) == {"a": "1"}
    secret_file(workdir)
    s.server.graceful()
    wait_until(lambda: s.told(jar)["load"] == "refused", 10,
               "the old secret forgotten")


def test_a_session_in_use_outlives_the_secret_that_began_it(httpd, workdir,
                                                           jar):
    path = secret_file(workdir)
    s = Site(httpd(f"SessionHA On\n{HERE}\nSessionHASecretFile {path}\n"
                   "SessionHALifetime 12h\n"))
    s.set(jar, a=1)
    secret_file(workdir, *read_secrets(path))
    s.server.graceful()
    begun = jar["HASESSION"]
    wait_until(lambda: s.session(jar) == {"a": "1"}
               and jar["HASESSION"] != begun, 10, "a cookie signed anew")
    assert int(jar.attributes["HASESSION"]["max-age"]) <= 12 * 3600
    first = read_secrets(path)[0]
    with open(path, "w") as file:
        file.write(first + "\n")
    s.server.graceful()
    wait_until(lambda: s.told(headers={"Cookie": f"HASESSION={begun}"})
               ["load"] == "refused", 10, "the old secret forgotten")
    assert s.session(jar) == {"a": "1"}


def test_a_cookie_of_one_name_is_none_of_another(httpd):
    s = Site(httpd(f"SessionHA On\n{HERE}\n<Location /cgi-bin/other>\n"
                   "SessionHACookieName OTHER\n</Location>\n"))
    jar = Jar()
    s.set(jar, user="ada")
    s.server.cgi("other", APP)
    answer = s.told(path="/cgi-bin/other", headers={
        "Cookie": f"OTHER={jar['HASESSION']}"})
    assert answer["load"] == "refused"


def test_a_reload_with_a_bad_file_keeps_the_old_secrets(httpd, workdir, jar):
    path = secret_file(workdir)
    s = Site(httpd(f"SessionHA On\n{HERE}\nSessionHASecretFile {path}\n"))
    s.set(jar, a=1)
    with open(path, "w") as f:
        f.write("short\n")
    s.server.graceful()
    s.log.expect("HA0109")
    s.log.expect("HA0110")
    assert s.session(jar) == {"a": "1"}
    s.set(jar, b=2)
    assert s.session(jar) == {"a": "1", "b": "2"}


# ---- restarts ----------------------------------------------------------------

@pytest.mark.every_mpm
def test_a_graceful_restart_loses_no_session_of_shared_memory(httpd, jar):
    s = Site(httpd(f"SessionHA On\n{HERE}"))
    s.set(jar, a=1)
    for i in range(3):
        s.server.graceful()
        assert s.session(jar)["a"] == "1"
        s.set(jar, **{f"b{i}": i})
    assert s.session(jar) == {"a": "1", "b0": "0", "b1": "1", "b2": "2"}


@pytest.mark.every_mpm
def test_a_graceful_restart_loses_no_session_of_memcached(
        httpd, jar, workdir, memcacheds):
    s = Site(httpd(f"{nodes_conf(memcacheds(3), secret_file(workdir))}"
                   f"SessionHA On\n{HERE}"))
    s.set(jar, a=1)
    for i in range(3):
        s.server.graceful()
        assert s.session(jar)["a"] == "1"
        s.set(jar, **{f"b{i}": i})
    assert s.session(jar) == {"a": "1", "b0": "0", "b1": "1", "b2": "2"}


def test_another_size_of_memory_takes_a_full_restart(httpd, jar):
    conf = f"SessionHA On\n{HERE}SessionHAMemory %d\n"
    s = Site(httpd(conf % 4000000))
    s.set(jar, a=1)
    s.server.graceful(conf % 8000000)
    assert "8000000 takes a stop and a start" in s.log.expect("HA0111")
    assert s.session(jar) == {"a": "1"}


def test_the_start_says_where_sessions_live(httpd, workdir):
    shm = httpd("SessionHA On\n")
    assert "they outlive restarts, and end when httpd is stopped" in \
        shm.log.expect("HA0114")
    conf = "\n".join(f"SessionHAServer name=n{i} zone=z{i % 2} "
                     f"address=127.0.0.1:{free_port()}" for i in range(3))
    mc = httpd(f"SessionHA On\n{conf}\n"
               f"SessionHASecretFile {secret_file(workdir)}\n")
    assert "3 memcached nodes in 2 zones, each in 2 copies" \
        in mc.log.expect("HA0115")
    mc.log.allow("HA0212")
    one = httpd(f"SessionHA On\n{SERVER}\n"
                f"SessionHASecretFile {secret_file(workdir)}\n", name="one")
    assert "on 1 memcached node in 1 zone, each in 1 copy, in clear" \
        in one.log.expect("HA0115")
    one.log.allow("HA0212")


def test_without_session_ha_nothing_is_opened(httpd):
    server = httpd(f"{SERVER}\n")
    server.log.expect("HA0121")
    assert server.get("/").status in (200, 403, 404)
    assert not server.log.has("HA011")


@pytest.mark.parametrize("conf", [
    SERVER, "SessionHAMemory 4000000\nSessionHAEncryption On",
    "SessionHASecretFile nowhere", "<Location /x>\nSessionHACookieName C\n"
    "SessionHA Off\n</Location>",
    "<VirtualHost *>\nSessionHAReplicas 1\n</VirtualHost>"])
def test_directives_that_do_nothing_are_named_once(httpd, conf):
    server = httpd(conf + "\n", start=False)
    name = re.findall(r"SessionHA[A-Z]\w+", conf)[0]
    said = rf"HA0121: {name} at \S+:\d+ does nothing: SessionHA On stands"
    code, text = server.configtest()
    assert code == 0 and len(re.findall(said, text)) == 1, text
    server.start()
    for count in (1, 2):
        server.log.expect(said)
        assert len(re.findall(said, server.log.text)) == count
        server.graceful()
    assert server.configtest("SessionHA Off\n".replace("Off", "On"))[1] \
        .count("HA0121") == 0


def test_encryption_in_an_overlapping_section_refuses_the_request(
        httpd, workdir):
    s = Site(httpd(f"""
        <Location /cgi-bin>
            SessionHA On
            {HERE}
        </Location>
        <LocationMatch app>
            SessionCryptoPassphrase secret
        </LocationMatch>""", modules=["session_crypto"]))
    s.server.cgi("other", "#!/bin/sh\nprintf '\\n'\n")
    assert s.server.get("/cgi-bin/app?a=1").status == 500
    s.log.expect("HA0307")
    assert s.server.get("/cgi-bin/other").status == 200


def test_a_login_outlives_a_graceful_restart(httpd, workdir, jar):
    server = httpd(f"SessionHA On\n{login_conf(workdir)}")
    server.file("private/index.html", "the vault")
    login(server, jar)
    server.graceful()
    assert server.get("/private/", jar=jar).text == "the vault"


def test_children_need_no_file_of_secrets(httpd, workdir, jar):
    path = secret_file(workdir)
    s = Site(httpd(f"SessionHA On\n{HERE}\nSessionHASecretFile {path}\n"))
    os.unlink(path)
    s.set(jar, a=1)
    assert s.session(jar) == {"a": "1"}


def test_memory_that_cannot_be_had_names_who_asked_for_it(httpd):
    server = httpd("SessionHA On\nSessionHAMemory 17179869184\n", start=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, hard))
    try:
        said = server.refuses_to_start()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert "HA0112: shared memory for sessions cannot be made: " \
        "SessionHAMemory asks for 17179869184 bytes" in said
