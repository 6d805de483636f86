# SPDX-License-Identifier: Apache-2.0
"""Other real application servers from the distribution's packages: Jetty,
which writes the route into its session ids, and gunicorn, where the
application does."""

import functools
import glob
import os
import shutil
import subprocess
import sys
import tempfile

from app_server import AppServer

HERE = os.path.dirname(os.path.abspath(__file__))
JARS = "/usr/share/java"
# Tomcat compiles pages with it; a JDK is ten times the download
COMPILER = f"{JARS}/eclipse-jdt-core.jar"
JETTY = [f"{JARS}/jetty9-{part}.jar" for part in
         ("server", "servlet", "util", "io", "http", "security",
          "util-ajax")] + [f"{JARS}/servlet-api.jar"]
JAVA = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m"]


def java():
    path = shutil.which("java")
    assert path, "java is missing"
    return [path, *JAVA]


@functools.lru_cache(maxsize=None)
def jetty_classes():
    """The folder of JettyClone.class, made once for each test process."""
    for path in [COMPILER, *JETTY]:
        assert glob.glob(path), f"{path}: package libjetty9-java"
    folder = tempfile.TemporaryDirectory(prefix="session-ha-test-jetty-")
    done = subprocess.run(
        [*java(), "-cp", COMPILER,
         "org.eclipse.jdt.internal.compiler.batch.Main", "-proc:none",
         "-source", "11", "-target", "11", "-cp", ":".join(JETTY),
         "-d", folder.name, os.path.join(HERE, "JettyClone.java")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return folder


class Jetty(AppServer):
    """One server with sessions in memory; its workerName is the route."""

    def argv(self):
        classes = ":".join([jetty_classes().name, *JETTY])
        return [*java(), "-cp", classes, "JettyClone", str(self.port),
                self.route]


class Gunicorn(AppServer):
    """One worker process with threads, connections kept alive."""

    def argv(self):
        return ["/usr/bin/env", f"ROUTE={self.route}", sys.executable, "-B",
                "-m", "gunicorn", "--bind", f"127.0.0.1:{self.port}",
                "--worker-class", "gthread", "--threads", "4",
                "--keep-alive", "30", "--worker-tmp-dir", self.folder,
                "--chdir", HERE, "wsgi_clone:application"]
